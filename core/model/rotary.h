#pragma once

#include <cstdint>
#include <vector>

#include "core/formats/model_form.h"
#include "kernels/rotary.h"

namespace mformer {

/// The frequencies of a head of `size`, [size / 2], by kind, f_i = theta^(−2i / size) being the plain ones:
/// - linear (positional interpolation, arXiv 2306.15595): f_i / factor.
/// - dynamic (NTK-aware): as plain up to the original context; from then on theta grows with the text,
///   theta · (factor · tokens / context − factor + 1)^(size / (size − 2)). `tokens`: all that a pass sees.
/// - llama3 (Llama 3.1's model card): f_i / factor for wavelengths above context / low_freq_factor, f_i below
///   context / high_freq_factor, between them a blend that is linear in context / wavelength.
/// - yarn (arXiv 2309.00071, sections 3.2 to 3.4): a blend of f_i and f_i / factor, linear in i between the dimensions
///   that turn beta_fast and beta_slow times within the context.
std::vector<double> rotary_frequencies(const Rotary& rotary, std::int64_t size, std::int64_t tokens);

/// Cosines and sines of the positions [first, first + tokens), row 0 being `first`.
kernels::RotaryTable rotary_positions(const Rotary& rotary, std::int64_t size, std::int64_t first, std::int64_t tokens);

}  // namespace mformer
