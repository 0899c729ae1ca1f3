#include "core/checkpoint/written_parameters.h"

#include <utility>

#include "core/checkpoint/finite.h"
#include "core/checkpoint/quantize.h"
#include "kernels/quantised_blocks.h"

namespace mformer {

std::map<std::string, ParameterShape> shapes_by_name(const ModelConfig& config) {
  std::map<std::string, ParameterShape> shapes;
  for (ParameterShape& shape : parameter_shapes(config)) shapes[shape.name] = std::move(shape);
  return shapes;
}

at::Tensor rewritten(const at::Tensor& stored, const ParameterShape& to, const ParameterShape& from,
                     at::ScalarType dtype) {
  const bool blocks = kernels::is_blocks(stored);
  if (to.bits == 0) {
    if (!blocks && dtype == at::kHalf) require_within(stored, kMostOfFloat16, to.name, "float16");
    return blocks ? dequantized_parameter(stored, from, dtype) : stored.to(dtype);
  }
  if (blocks && kernels::bits_of(stored) == to.bits) return stored;
  const at::Tensor numbers = blocks ? dequantized_parameter(stored, from, at::kFloat) : stored;
  require_within(numbers, kMostOfFloat16, to.name, "the float16 scales of --quantize");
  return quantized_parameter(numbers, to);
}

WrittenParameters::WrittenParameters(const ModelConfig& config, const ModelConfig& stored_config, ByParameter stored,
                                     at::ScalarType dtype)
    : shapes_(shapes_by_name(config)),
      stored_shapes_(shapes_by_name(stored_config)),
      stored_(std::move(stored)),
      dtype_(dtype) {}

at::Tensor WrittenParameters::operator()(const std::string& name) {
  const auto found = shapes_.find(name);
  if (found == shapes_.end()) return {};
  if (found->second.role == ParameterRole::scale) return scale(name);
  const at::Tensor stored = stored_(name);
  if (!stored.defined()) return stored;
  if (found->second.codes && stored.scalar_type() == at::kChar) return stored;
  if (!found->second.codes) return rewritten(numbers(name, stored), found->second, stored_shapes_.at(name), dtype_);
  const auto [codes, scale] = quantized(numbers(name, stored));
  scales_[name + "_scale"] = scale;
  return codes;
}

/// Of what is int8 by output channel; all else is returned as it is, but for what is to be int8 so.
at::Tensor WrittenParameters::numbers(const std::string& name, const at::Tensor& stored) const {
  if (stored.scalar_type() == at::kChar) return dequantized(stored, stored_(name + "_scale"), 0, dtype_);
  if (!shapes_.at(name).codes || !kernels::is_blocks(stored)) return stored;
  return dequantized_parameter(stored, stored_shapes_.at(name), at::kFloat);
}

at::Tensor WrittenParameters::scale(const std::string& name) {
  if (const at::Tensor stored = stored_(name); stored.defined()) return stored;
  const auto made = scales_.find(name);  // scales follow their codes
  if (made != scales_.end()) return made->second;
  const std::string codes = name.substr(0, name.size() - std::string_view("_scale").size());
  return quantized(numbers(codes, stored_(codes))).second;
}

}  // namespace mformer
