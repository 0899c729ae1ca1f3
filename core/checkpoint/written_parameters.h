#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <string>

#include "core/checkpoint/stored_pieces.h"
#include "core/formats/parameter_shapes.h"

namespace mformer {

std::map<std::string, ParameterShape> shapes_by_name(const ModelConfig& config);

/// A stored parameter, numbers or blocks of the shape `from`, as the shape `to` says: numbers of `dtype` or blocks.
/// Blocks of the same bits stay as they are. Throws as quantized_parameter(), and where a number is too large for
/// float16 or for a float16 scale.
at::Tensor rewritten(const at::Tensor& stored, const ParameterShape& to, const ParameterShape& from,
                     at::ScalarType dtype);

/// The parameters of a stored model as another config quantises them, each made when it is asked for: blocks, codes
/// with their scales, or numbers of `dtype`. Codes and blocks of the kind that is wanted keep their bits.
class WrittenParameters {
 public:
  WrittenParameters(const ModelConfig& config, const ModelConfig& stored_config, ByParameter stored,
                    at::ScalarType dtype);

  /// Undefined where the config has no such parameter.
  at::Tensor operator()(const std::string& name);

 private:
  at::Tensor numbers(const std::string& name, const at::Tensor& stored) const;
  at::Tensor scale(const std::string& name);

  std::map<std::string, ParameterShape> shapes_, stored_shapes_;
  ByParameter stored_;
  at::ScalarType dtype_;
  std::map<std::string, at::Tensor> scales_;  ///< Of codes that were made and are not yet asked for.
};

}  // namespace mformer
