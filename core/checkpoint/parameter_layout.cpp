#include "core/checkpoint/parameter_layout.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "core/formats/quoted_name.h"
#include "core/formats/safetensors_header.h"
#include "kernels/quantised_blocks.h"
#include "modules_registry/error.h"
#include "modules_registry/suggest.h"

namespace mformer {
namespace {

ParameterType type_of(StoredTensor::Type type) {
  return type == StoredTensor::Type::codes    ? ParameterType::codes
         : type == StoredTensor::Type::scale  ? ParameterType::scale
         : type == StoredTensor::Type::blocks ? ParameterType::blocks
                                              : ParameterType::floating;
}

bool is_ignored(std::string_view name, const HubFolder& folder) {
  if (name == folder.layout().head) return folder.config().tie_word_embeddings;
  return folder.layout().is_ignored(name);
}

bool may_be(DType stored, ParameterType type) {
  switch (type) {
    case ParameterType::codes:
      return stored == DType::I8;
    case ParameterType::scale:
      return stored == DType::F32;
    case ParameterType::blocks:
      return stored == DType::U8;
    default:
      return stored == DType::F32 || stored == DType::BF16 || stored == DType::F16;
  }
}

const char* dtype_hint(ParameterType type) {
  switch (type) {
    case ParameterType::codes:
      return "config.json says that the modules are int8: the weights must be I8";
    case ParameterType::scale:
      return "scales are F32: export the checkpoint again";
    case ParameterType::blocks:
      return "config.json says that the matrices are quantised in groups: they must be U8";
    default:
      return "weights are read as F32, BF16 or F16: convert them first";
  }
}

void check_scales(const TensorView& tensor, const std::string& where) {
  std::vector<float> scales(tensor.bytes / sizeof(float));
  tensor.read(reinterpret_cast<std::byte*>(scales.data()));
  for (const float scale : scales) {
    if (std::isfinite(scale) && scale > 0) continue;
    throw Error(where + ": '" + tensor.name + "' holds the scale " + std::to_string(scale),
                "scales are finite and above 0: fetch or export the checkpoint again");
  }
}

/// GGUF files may hold a vector as a matrix of one row.
bool is_row_of(const TensorInfo& tensor, const ParameterSpec& expected, const HubFolder& folder) {
  return folder.gguf() != nullptr && tensor.shape == std::vector<std::int64_t>{1, expected.shape.front()} &&
         expected.shape.size() == 1;
}

/// Reads some rows of the tensor after the other: a matrix may be larger than the memory that is left.
void check_blocks(const TensorView& tensor, const std::string& where) {
  const std::int64_t row = tensor.shape[1] * tensor.shape[2];
  const std::int64_t together = std::max<std::int64_t>(1, (1 << 24) / std::max<std::int64_t>(1, row));
  for (std::int64_t first = 0; row > 0 && first < tensor.shape[0]; first += together) {
    const std::int64_t rows = std::min(together, tensor.shape[0] - first);
    const at::Tensor blocks = at::empty({rows, tensor.shape[1], tensor.shape[2]}, at::kByte);
    tensor.read(static_cast<std::size_t>(first * row),
                {static_cast<std::byte*>(blocks.mutable_data_ptr()), blocks.nbytes()});
    if (kernels::are_sound(blocks)) continue;
    throw Error(where + ": '" + tensor.name + "' holds a scale or a minimum that is not finite",
                "fetch or export the checkpoint again");
  }
}

void check_parameter(const HubFolder& folder, const ParameterSpec& expected) {
  const std::string where = folder.path().string();
  const TensorInfo* tensor = folder.info(expected.name);
  if (tensor == nullptr) {
    throw Error(where + ": the parameter '" + expected.name + "' is missing",
                std::string("the weights do not belong to ") + folder.config_name() +
                    ", or the file or export was not complete");
  }
  if (tensor->shape != expected.shape && !is_row_of(*tensor, expected, folder)) {
    throw Error(where + ": '" + expected.name + "' has the shape " + shape_text(tensor->shape) + ", but " +
                    folder.config_name() + " asks for " + shape_text(expected.shape),
                std::string("the weights do not belong to ") + folder.config_name());
  }
  if (!may_be(tensor->dtype, expected.type)) {
    throw Error(where + ": '" + expected.name + "' is stored as " + std::string(dtype_name(tensor->dtype)),
                dtype_hint(expected.type));
  }
  if (expected.type == ParameterType::scale) check_scales(folder.get(expected.name), where);
  if (expected.type == ParameterType::blocks) check_blocks(folder.get(expected.name), where);
}

}  // namespace

std::vector<ParameterSpec> parameter_layout(const ModelConfig& config, const Family& layout) {
  std::vector<ParameterSpec> all;
  for (StoredTensor& tensor : layout.tensors(config)) {
    all.push_back({std::move(tensor.name), std::move(tensor.shape), type_of(tensor.type)});
  }
  return all;
}

std::vector<ParameterSpec> parameter_layout(const ModelConfig& config) {
  return parameter_layout(config, family_of(config));
}

void check_parameters(const HubFolder& folder) {
  std::vector<std::string> expected_names;
  for (const ParameterSpec& expected : parameter_layout(folder.config(), folder.layout())) {
    check_parameter(folder, expected);
    expected_names.push_back(expected.name);
  }
  const std::set<std::string_view> known(expected_names.begin(), expected_names.end());
  for (const std::string& name : folder.tensor_names()) {
    if (known.contains(name) || is_ignored(name, folder)) continue;
    throw Error(folder.path().string() + ": the tensor " + quoted_name(name) + " is no parameter of this model",
                suggestion_hint(std::string_view(name).substr(0, 200), expected_names, "parameters", ""));
  }
}

}  // namespace mformer
