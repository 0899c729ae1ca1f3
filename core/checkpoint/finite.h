#pragma once

#include <set>
#include <string>
#include <vector>

#include "core/model/model.h"

namespace mformer {

/// Whether all its elements are finite numbers.
bool is_finite(const at::Tensor& tensor);

/// The names, as in a checkpoint, of the tensors in which these parameters (by their own names) stand, and of the
/// private parts of the model's domains that are not finite, as "german/ln_f.weight". No other tensor of `outline` is
/// read.
std::vector<std::string> tensors_with(const Model& outline, const std::set<std::string>& parameters);

}  // namespace mformer
