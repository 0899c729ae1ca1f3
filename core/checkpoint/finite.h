#pragma once

#include <set>
#include <string>
#include <vector>

#include "core/model/model.h"

namespace mformer {

/// Whether all its elements are finite numbers.
bool is_finite(const at::Tensor& tensor);

/// The largest number that float16 holds, and so the largest scale or minimum of a group of codes.
inline constexpr double kMostOfFloat16 = 65504;

/// Throws Error naming the parameter where it is finite, but holds a number beyond ±`most`: as `kind` it would be none.
void require_within(const at::Tensor& numbers, double most, const std::string& name, const std::string& kind);

/// The names, as in a checkpoint, of the tensors in which these parameters (by their own names) stand, and of the
/// private parts of the model's domains that are not finite, as "german/ln_f.weight". No other tensor of `outline` is
/// read.
std::vector<std::string> tensors_with(const Model& outline, const std::set<std::string>& parameters);

}  // namespace mformer
