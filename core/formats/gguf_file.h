#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/formats/gguf_header.h"

namespace mformer {

/// A GGUF file (docs/gguf.md), of which the header is held in memory and a tensor read when it is asked for. Everything
/// is checked before a byte of data can be seen (gguf_header.h). Copies share the open file; reading from many threads
/// is safe. A file that is cut while it is open gives an Error and no signal.
class GgufFile {
 public:
  /// Throws Error, naming the file, when it can't be opened or is no GGUF file that can be read.
  static GgufFile open(const std::filesystem::path& path);

  const GgufMetadata& metadata() const { return contents_->header.metadata; }
  /// In the order of their data in the file.
  const std::vector<GgufTensor>& tensors() const { return contents_->header.tensors; }
  /// Null when there is no such tensor; otherwise valid as long as any copy of this file lives.
  const GgufTensor* find(std::string_view name) const;
  const std::string& source() const { return contents_->source; }

  /// Fills `to` with the tensor's elements, as its dtype says, from number `first` on, in the order of its rows; all of
  /// them must be there. Of a quantised tensor a megabyte at a time is in memory beside `to`.
  void read(const GgufTensor& tensor, std::int64_t first, std::span<std::byte> to) const;

 private:
  struct Contents {
    std::string source;
    InputFile file;
    GgufHeader header;
    std::map<std::string_view, std::size_t, std::less<>> index{};
  };
  explicit GgufFile(std::shared_ptr<const Contents> contents) : contents_(std::move(contents)) {}

  std::shared_ptr<const Contents> contents_;
};

/// The files of one model: `path` alone, or, where its metadata says that it was split ("split.count"), all of
/// "NAME-00001-of-0000N.gguf" beside it, whichever of them is named. The first has the metadata. Throws Error where one
/// is missing or says another number of files or another place, and for a tensor that lies in two.
std::vector<GgufFile> open_gguf_files(const std::filesystem::path& path);

/// Whether the metadata hold a tokenizer, of whatever kind.
bool has_gguf_tokenizer(const GgufMetadata& metadata);

/// Whether a model's path names a GGUF file: by its ending, or because it begins as one.
bool is_gguf_path(const std::filesystem::path& path);

}  // namespace mformer
