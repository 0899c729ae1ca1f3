#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/formats/safetensors.h"
#include "core/formats/safetensors_header.h"
#include "modules_registry/error.h"

namespace mformer {
namespace {

using nlohmann::json;

// The pieces of a file in order; the tensors' bytes stay where they are.
struct Layout {
  std::string header;  ///< Length, JSON and padding.
  std::vector<const TensorToWrite*> order;
};

void check(const TensorToWrite& tensor) {
  if (tensor.name == "__metadata__") throw Error("a tensor can't have the reserved name '__metadata__'");
  const auto needed = tensor_bytes(tensor.dtype, tensor.shape);
  if (!needed || *needed != tensor.data.size()) {
    throw Error("tensor '" + tensor.name + "' of shape " + shape_text(tensor.shape) + " and dtype " +
                std::string(dtype_name(tensor.dtype)) + " can't consist of " + std::to_string(tensor.data.size()) +
                " bytes");
  }
}

std::string dump(const json& header) {
  try {
    return header.dump();
  } catch (const json::exception&) {
    throw Error("a tensor's name or the metadata is not valid UTF-8");
  }
}

Layout plan(const std::vector<TensorToWrite>& tensors, const std::map<std::string, std::string>& metadata) {
  Layout layout;
  for (const TensorToWrite& tensor : tensors) {
    check(tensor);
    layout.order.push_back(&tensor);
  }
  // Widest dtype first: every tensor then starts at a multiple of its item size.
  std::stable_sort(layout.order.begin(), layout.order.end(), [](const TensorToWrite* a, const TensorToWrite* b) {
    return item_size(a->dtype) > item_size(b->dtype);
  });

  json header = json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  std::uint64_t position = 0;
  for (const TensorToWrite* tensor : layout.order) {
    if (header.contains(tensor->name)) throw Error("tensor '" + tensor->name + "' is given twice");
    const std::uint64_t end = position + tensor->data.size();
    header[tensor->name] = {
        {"dtype", dtype_name(tensor->dtype)}, {"shape", json::array()}, {"data_offsets", json::array({position, end})}};
    for (const std::int64_t dimension : tensor->shape) header[tensor->name]["shape"].push_back(dimension);
    position = end;
  }

  std::string text = dump(header);
  text.resize((text.size() + 7) / 8 * 8, ' ');
  const std::uint64_t length = text.size();
  layout.header.resize(sizeof length);
  std::memcpy(layout.header.data(), &length, sizeof length);
  layout.header += text;
  return layout;
}

std::vector<Bytes> pieces(const Layout& layout) {
  std::vector<Bytes> pieces{as_bytes(layout.header)};
  for (const TensorToWrite* tensor : layout.order) pieces.push_back(tensor->data);
  return pieces;
}

}  // namespace

std::vector<std::byte> serialize_safetensors(const std::vector<TensorToWrite>& tensors,
                                             const std::map<std::string, std::string>& metadata) {
  const Layout layout = plan(tensors, metadata);
  std::vector<std::byte> bytes;
  for (const Bytes piece : pieces(layout)) bytes.insert(bytes.end(), piece.begin(), piece.end());
  return bytes;
}

void write_safetensors(const std::filesystem::path& path, const std::vector<TensorToWrite>& tensors,
                       const std::map<std::string, std::string>& metadata) {
  const Layout layout = plan(tensors, metadata);
  write_file_atomically(path, pieces(layout));
}

}  // namespace mformer
