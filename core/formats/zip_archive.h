#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>

#include "core/formats/input_file.h"

namespace mformer {

/// The files in a zip archive that are stored as they are, as torch.save writes them: APPNOTE.TXT of the format,
/// sections 4.3 and 4.5 (zip64).
///
/// The directory is checked as a whole before anything is read: every entry lies in the file, before the directory,
/// under the name that its own header has, and overlaps no other; no name appears twice. Compressed and encrypted
/// entries and archives in several parts are refused. Checksums are not compared, as PyTorch itself may leave them out.
class ZipArchive {
 public:
  struct Entry {
    std::uint64_t offset = 0;  ///< Where its bytes start in the file.
    std::uint64_t bytes = 0;
  };

  /// Throws Error, naming the file, when it is no such archive.
  static ZipArchive open(const std::filesystem::path& path);

  /// Whether a file that begins like this may be a zip archive.
  static bool is_archive(std::string_view beginning);

  const std::map<std::string, Entry, std::less<>>& entries() const { return entries_; }
  /// Null when there is no such entry.
  const Entry* find(std::string_view name) const;
  const InputFile& file() const { return file_; }

 private:
  explicit ZipArchive(InputFile file) : file_(std::move(file)) {}

  InputFile file_;
  std::map<std::string, Entry, std::less<>> entries_;
};

}  // namespace mformer
