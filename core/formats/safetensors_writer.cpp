#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>
#include <numeric>
#include <utility>

#include "core/formats/safetensors.h"
#include "core/formats/safetensors_header.h"
#include "modules_registry/error.h"

namespace mformer {
namespace {

using nlohmann::json;

/// What a file holds, and where.
struct Layout {
  std::string header;              ///< Length, JSON and padding.
  std::vector<std::size_t> order;  ///< Of the tensors' bytes.
};

/// Its bytes; throws Error for a name or a shape that no file can hold.
std::uint64_t checked_bytes(const TensorInfo& tensor) {
  if (tensor.name == "__metadata__") throw Error("a tensor can't have the reserved name '__metadata__'");
  if (const auto needed = tensor_bytes(tensor.dtype, tensor.shape)) return *needed;
  throw Error("tensor '" + tensor.name + "' can't have the shape " + shape_text(tensor.shape));
}

/// The file says how many bytes the tensor has.
void require_bytes(const TensorInfo& tensor, std::uint64_t bytes) {
  const auto needed = tensor_bytes(tensor.dtype, tensor.shape);
  if (needed && *needed == bytes) return;
  throw Error("tensor '" + tensor.name + "' of shape " + shape_text(tensor.shape) + " and dtype " +
              std::string(dtype_name(tensor.dtype)) + " can't consist of " + std::to_string(bytes) + " bytes");
}

std::string dump(const json& header) {
  try {
    return header.dump();
  } catch (const json::exception&) {
    throw Error("a tensor's name or the metadata is not valid UTF-8");
  }
}

/// With its length in front, padded to whole words.
std::string framed(std::string text) {
  text.resize((text.size() + 7) / 8 * 8, ' ');
  const std::uint64_t length = text.size();
  std::string header(sizeof length, '\0');
  std::memcpy(header.data(), &length, sizeof length);
  return header + text;
}

/// Of TensorInfo or what is one.
template <typename Info>
Layout plan(const std::vector<Info>& tensors, const std::map<std::string, std::string>& metadata) {
  Layout layout;
  layout.order.resize(tensors.size());
  std::iota(layout.order.begin(), layout.order.end(), std::size_t{0});
  // Widest dtype first: every tensor then starts at a multiple of its item size.
  std::stable_sort(layout.order.begin(), layout.order.end(), [&](std::size_t a, std::size_t b) {
    return item_size(tensors[a].dtype) > item_size(tensors[b].dtype);
  });

  json header = json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  std::uint64_t position = 0;
  for (const std::size_t i : layout.order) {
    const TensorInfo& tensor = tensors[i];
    if (header.contains(tensor.name)) throw Error("tensor '" + tensor.name + "' is given twice");
    const std::uint64_t end = position + checked_bytes(tensor);
    header[tensor.name] = {
        {"dtype", dtype_name(tensor.dtype)}, {"shape", json::array()}, {"data_offsets", json::array({position, end})}};
    for (const std::int64_t dimension : tensor.shape) header[tensor.name]["shape"].push_back(dimension);
    position = end;
  }
  layout.header = framed(dump(header));
  return layout;
}

}  // namespace

SafetensorsPieces safetensors_pieces(const std::vector<TensorToWrite>& tensors,
                                     const std::map<std::string, std::string>& metadata) {
  for (const TensorToWrite& tensor : tensors) require_bytes(tensor, tensor.data.size());
  Layout layout = plan(tensors, metadata);
  SafetensorsPieces pieces{std::move(layout.header), {}};
  for (const std::size_t i : layout.order) pieces.data.push_back(tensors[i].data);
  return pieces;
}

std::vector<std::byte> serialize_safetensors(const std::vector<TensorToWrite>& tensors,
                                             const std::map<std::string, std::string>& metadata) {
  const SafetensorsPieces pieces = safetensors_pieces(tensors, metadata);
  const Bytes header = as_bytes(pieces.header);
  std::vector<std::byte> bytes(header.begin(), header.end());
  for (const Bytes piece : pieces.data) bytes.insert(bytes.end(), piece.begin(), piece.end());
  return bytes;
}

void write_safetensors(const std::filesystem::path& path, const std::vector<TensorToWrite>& tensors,
                       const std::map<std::string, std::string>& metadata) {
  const SafetensorsPieces pieces = safetensors_pieces(tensors, metadata);
  std::vector<Bytes> all{as_bytes(pieces.header)};
  all.insert(all.end(), pieces.data.begin(), pieces.data.end());
  write_file_atomically(path, all);
}

void write_safetensors(const std::filesystem::path& path, const std::vector<TensorInfo>& tensors,
                       const std::map<std::string, std::string>& metadata, const WriteTensor& write) {
  const Layout layout = plan(tensors, metadata);
  write_file_atomically(path, [&](const ByteSink& sink) {
    sink(as_bytes(layout.header));
    for (const std::size_t i : layout.order) {
      std::uint64_t written = 0;
      write(i, [&](Bytes bytes) {
        sink(bytes);
        written += bytes.size();
      });
      require_bytes(tensors[i], written);
    }
  });
}

}  // namespace mformer
