#pragma once

#include <ATen/ATen.h>

#include <map>
#include <string>
#include <vector>

#include "core/checkpoint/hub_model.h"

namespace mformer::testing {

/// The gradients of a model after a backward pass, as its family would store them; zeros where there are none.
inline std::vector<NamedTensor> stored_gradients(Model& model) {
  std::map<std::string, at::Tensor> gradients;
  for_each_parameter(model, [&](const ParameterRef& ref) {
    gradients[ref.name] = ref.tensor->grad().defined() ? ref.tensor->grad() : at::zeros_like(*ref.tensor);
  });
  return hub_tensors(model.config, family_of(model.config.family, "test"),
                     [&](const std::string& name) { return gradients.at(name); });
}

}  // namespace mformer::testing
