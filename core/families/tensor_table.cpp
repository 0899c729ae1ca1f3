#include "core/families/tensor_table.h"

#include <algorithm>

#include "core/formats/parameter_names.h"
#include "core/formats/parameter_shapes.h"

namespace mformer {

TensorTable::TensorTable(const ModelConfig& config) : config_(config) {
  for (ParameterShape& parameter : parameter_shapes(config)) {
    types_[parameter.name] = parameter.bits != 0                      ? StoredTensor::Type::blocks
                             : parameter.codes                        ? StoredTensor::Type::codes
                             : parameter.role == ParameterRole::scale ? StoredTensor::Type::scale
                                                                      : StoredTensor::Type::floating;
    shapes_[parameter.name] = std::move(parameter.shape);
  }
}

StoredTensor::Type TensorTable::type_of(const std::string& parameter) const {
  return types_.at(parameter);
}

void TensorTable::whole(const std::string& name, const std::string& parameter, bool transposed) {
  std::vector<std::int64_t> shape = shapes_.at(parameter);
  if (transposed) std::reverse(shape.begin(), shape.end());
  all_.push_back({name, std::move(shape), {{parameter, -1, {}, {}, transposed}}, type_of(parameter)});
}

void TensorTable::stacked(const std::string& name, std::int64_t layer, Kind kind, const std::string& suffix,
                          bool transposed) {
  const std::int64_t modules = config_.modules(kind, layer);
  if (modules == 0) return;
  StoredTensor tensor;
  for (std::int64_t i = 0; i < modules; ++i) {
    tensor.pieces.push_back({names::module(layer, kind, i) + suffix, i, {}, {}, transposed});
  }
  tensor.name = name;
  tensor.shape = shapes_.at(tensor.pieces.front().parameter);
  if (transposed) std::reverse(tensor.shape.begin(), tensor.shape.end());
  tensor.shape.insert(tensor.shape.begin(), modules);
  tensor.type = type_of(tensor.pieces.front().parameter);
  all_.push_back(std::move(tensor));
}

void TensorTable::columns(const std::string& name, const std::string& parameter, std::int64_t to,
                          std::int64_t columns) {
  all_.push_back({name, {columns, shapes_.at(parameter).front()}, {{parameter, -1, {}, {}, true, to}}});
}

}  // namespace mformer
