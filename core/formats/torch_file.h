#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/formats/state_dict_program.h"
#include "core/formats/zip_archive.h"

namespace mformer {

/// A file of `torch.save(model.state_dict())` (the zip format, PyTorch from 1.6 on), read without PyTorch and without
/// running anything: docs/checkpoints.md says what is read.
///
/// Everything is checked before a byte of data is used: the archive (zip_archive.h), the program
/// (state_dict_program.h), the byte order, that every storage holds just the elements that it is said to, and that
/// every element of every tensor lies in its storage. Copies share the file; reading from many threads is safe.
class TorchFile {
 public:
  /// Throws Error, naming the file and the tensor, when it is no such file.
  static TorchFile open(const std::filesystem::path& path);

  /// In the order of the state dict.
  const std::vector<PickledTensor>& tensors() const { return contents_->tensors; }
  /// Null when there is no such tensor; otherwise valid as long as any copy of this file lives.
  const PickledTensor* find(std::string_view name) const;
  const std::string& source() const { return contents_->source; }

  /// Copies stored elements of the tensor's storage, from element `first` on, to `to`: whole elements that lie in it.
  void read(const PickledTensor& tensor, std::int64_t first, std::span<std::byte> to) const;

 private:
  struct Contents {
    ZipArchive archive;
    std::string source;
    std::string root;  ///< The folder in the archive, with a slash at its end.
    std::vector<PickledTensor> tensors;
    std::map<std::string, std::size_t, std::less<>> index;
  };
  explicit TorchFile(std::shared_ptr<const Contents> contents) : contents_(std::move(contents)) {}

  std::shared_ptr<const Contents> contents_;
};

/// Elements from the first to the last that the tensor touches in its storage, both included; 0 for an empty tensor,
/// nothing when a size or stride is negative or the number does not fit in 63 bits.
std::optional<std::int64_t> elements_spanned(const PickledTensor& tensor);

/// Whether the tensor's elements lie one after the other, row by row.
bool is_contiguous(const PickledTensor& tensor);

}  // namespace mformer
