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

#include "core/formats/dtype.h"
#include "core/formats/input_file.h"
#include "core/formats/safetensors_header.h"
#include "core/formats/tensor_info.h"
#include "modules_registry/file_sink.h"

namespace mformer {

/// One tensor inside a SafetensorsFile: dense, row-major, little-endian.
class TensorView : public TensorInfo {
 public:
  std::size_t bytes = 0;     ///< Always the product of the shape times item_size(dtype).
  std::uint64_t offset = 0;  ///< Of the first of them in the file.

  /// Copies the tensor to `to`, which has room for `bytes`. Throws Error when the file can't be read any more.
  void read(std::byte* to) const;
  /// Fills `to` with the tensor's bytes from `first` on, all of which it must have.
  void read(std::size_t first, std::span<std::byte> to) const;
  /// The same as bytes of their own.
  std::vector<std::byte> content() const;

 private:
  friend class SafetensorsFile;
  std::optional<InputFile> file_;  ///< Empty for parse().
  const std::byte* memory_ = nullptr;
};

/// A safetensors file, of which the header is held in memory and a tensor read when it is asked for: the layout is in
/// docs/checkpoints.md.
///
/// Everything is checked before a byte of data can be seen: the header's length and JSON, duplicate or unknown names
/// inside it, dtypes, shapes and their products, and that the tensors cover the data exactly, without overlap or hole.
/// Whatever survives is safe to use; whatever does not throws mformer::Error naming the file and the tensor.
///
/// Copies are cheap and share the open file. Reading from many threads is safe. A file that is cut while it is open
/// gives an Error and no signal.
class SafetensorsFile {
 public:
  /// Opens and checks `path`. Throws Error when it can't be opened or is not a valid safetensors file.
  static SafetensorsFile open(const std::filesystem::path& path);

  /// Checks bytes in memory, which the caller keeps alive and unchanged. `source` stands for the file in errors.
  static SafetensorsFile parse(Bytes bytes, const std::string& source);

  /// All tensors, in the order of their data in the file.
  const std::vector<TensorView>& tensors() const { return contents_->tensors; }
  /// Their names, in the same order.
  std::vector<std::string> names() const;

  /// Null when there is no such tensor; otherwise valid as long as any copy of this file lives.
  const TensorView* find(std::string_view name) const;
  /// As find(), but throws Error, with the nearest names as a hint.
  const TensorView& get(std::string_view name) const;

  /// The header's free-form `__metadata__`; empty when there is none.
  const std::map<std::string, std::string>& metadata() const { return contents_->metadata; }
  /// What errors call this file: its path, or the source given to parse().
  const std::string& source() const { return contents_->source; }

 private:
  struct Contents {
    std::string source;
    std::vector<TensorView> tensors;
    std::map<std::string, std::string> metadata;
    std::map<std::string, std::size_t, std::less<>> index;
  };
  static SafetensorsFile make(SafetensorsHeader header, const std::string& source, const InputFile* file, Bytes memory);
  explicit SafetensorsFile(std::shared_ptr<const Contents> contents) : contents_(std::move(contents)) {}

  std::shared_ptr<const Contents> contents_;
};

/// A tensor to be written; the bytes are the caller's and must be dense, row-major, little-endian.
/// The name is UTF-8, unique in the file, not "__metadata__".
struct TensorToWrite : TensorInfo {
  Bytes data;  ///< As many bytes as shape and dtype say.
};

/// The bytes of a safetensors file with these tensors. The same input gives the same bytes, always: they can be
/// hashed. Data lies in the given order, except that wider dtypes come first so that every tensor is aligned.
/// Throws Error on duplicate or forbidden names, negative dimensions and byte counts that do not match the shape.
std::vector<std::byte> serialize_safetensors(const std::vector<TensorToWrite>& tensors,
                                             const std::map<std::string, std::string>& metadata = {});

/// The same bytes, of which those of the tensors stay where they are.
struct SafetensorsPieces {
  std::string header;
  std::vector<Bytes> data;
};
SafetensorsPieces safetensors_pieces(const std::vector<TensorToWrite>& tensors,
                                     const std::map<std::string, std::string>& metadata = {});

/// Writes what serialize_safetensors() returns, without building it in memory, and atomically: `path` holds either its
/// old contents or all of the new ones, on disk, even after a power cut. Throws Error as above, or when writing fails.
void write_safetensors(const std::filesystem::path& path, const std::vector<TensorToWrite>& tensors,
                       const std::map<std::string, std::string>& metadata = {});

/// Hands the bytes of tensor number `i` to the sink, in one piece or several.
using WriteTensor = std::function<void(std::size_t i, const ByteSink& sink)>;

/// The same for tensors whose bytes are made when it is their turn. What `write` throws comes through.
void write_safetensors(const std::filesystem::path& path, const std::vector<TensorInfo>& tensors,
                       const std::map<std::string, std::string>& metadata, const WriteTensor& write);

}  // namespace mformer
