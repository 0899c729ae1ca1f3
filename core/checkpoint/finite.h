#pragma once

#include <set>
#include <string>
#include <vector>

#include "core/model/model.h"

namespace mformer {

/// Whether all its elements are finite numbers.
bool is_finite(const at::Tensor& tensor);

/// Where these parameters (by their own names) stand in a checkpoint, with the private parts of the model's domains
/// that are not finite, as tensors_not_finite() names them. No other tensor of `outline` is read.
std::vector<std::string> tensors_with(const Model& outline, const std::set<std::string>& parameters);

/// The names, as in a checkpoint, of the tensors that hold a weight that is not a finite number; private parts of
/// domains as "german/ln_f.weight". Empty for a sound model. Reads every weight once.
std::vector<std::string> tensors_not_finite(const Model& model);

}  // namespace mformer
