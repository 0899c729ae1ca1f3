#pragma once

#include <ATen/core/Tensor.h>

namespace mformer {

/// Tokens of one class: inputs [tokens, width] and the log-odds [tokens] that they belong to the second class, both
/// float32.
struct LabelledTokens {
  at::Tensor inputs, odds;
};

/// Sum of a float32 tensor in double, in order: LibTorch's depends on the number of threads.
double ordered_sum(const at::Tensor& x);

/// odds + inputs · shift.
at::Tensor shifted_odds(const LabelledTokens& tokens, const at::Tensor& shift);

/// Logistic regression with offsets and without intercept: the shift [width], float32, that minimises
///   first_weight · mean over `first` of ln(1 + exp(s)) + mean over `second` of ln(1 + exp(−s)) + ridge · m ·
///   ‖shift‖²/2,
/// s the shifted odds and m the mean square of the inputs. By Newton's method with steps that are halved until the
/// objective falls. The same bits whatever the number of threads.
at::Tensor logistic_shift(const LabelledTokens& first, const LabelledTokens& second, double first_weight, double ridge);

}  // namespace mformer
