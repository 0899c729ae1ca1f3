#include "core/model/rotary.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/cos.h>
#include <ATen/ops/sin.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <cmath>

namespace mformer {
namespace {

constexpr double kPi = 3.14159265358979323846;

std::vector<double> plain(double theta, std::int64_t size) {
  std::vector<double> frequencies;
  for (std::int64_t i = 0; i < size / 2; ++i) {
    frequencies.push_back(std::pow(theta, -2.0 * static_cast<double>(i) / static_cast<double>(size)));
  }
  return frequencies;
}

double llama3(const Rotary& rotary, double frequency) {
  const double context = static_cast<double>(rotary.original_context);
  const double turns = context * frequency / (2 * kPi);  // context / wavelength
  if (turns < rotary.low_freq_factor) return frequency / rotary.factor;
  if (turns > rotary.high_freq_factor) return frequency;
  const double smooth = (turns - rotary.low_freq_factor) / (rotary.high_freq_factor - rotary.low_freq_factor);
  return (1 - smooth) * frequency / rotary.factor + smooth * frequency;
}

/// The dimension pair that turns `turns` times within the original context.
double dimension_of(const Rotary& rotary, double turns, double size) {
  const double context = static_cast<double>(rotary.original_context);
  return size * std::log(context / (turns * 2 * kPi)) / (2 * std::log(rotary.theta));
}

void stretch_yarn(const Rotary& rotary, std::int64_t size, std::vector<double>& frequencies) {
  const auto width = static_cast<double>(size);
  double low = dimension_of(rotary, rotary.beta_fast, width), high = dimension_of(rotary, rotary.beta_slow, width);
  if (rotary.truncate) low = std::floor(low), high = std::ceil(high);
  low = std::max(low, 0.0), high = std::min(high, width - 1);
  if (low == high) high += 0.001;
  for (std::size_t i = 0; i < frequencies.size(); ++i) {
    const double stretched = std::clamp((static_cast<double>(i) - low) / (high - low), 0.0, 1.0);
    frequencies[i] *= stretched / rotary.factor + (1 - stretched);
  }
}

double theta_of(const Rotary& rotary, std::int64_t size, std::int64_t tokens) {
  const auto context = static_cast<double>(rotary.original_context);
  if (rotary.kind != RotaryKind::dynamic || tokens <= rotary.original_context || size <= 2) return rotary.theta;
  const double grown = rotary.factor * static_cast<double>(tokens) / context - (rotary.factor - 1);
  return rotary.theta * std::pow(grown, static_cast<double>(size) / static_cast<double>(size - 2));
}

double attention_factor(const Rotary& rotary) {
  if (rotary.kind != RotaryKind::yarn) return 1;
  if (rotary.attention_factor > 0) return rotary.attention_factor;
  return rotary.factor <= 1 ? 1 : 0.1 * std::log(rotary.factor) + 1;
}

}  // namespace

std::vector<double> rotary_frequencies(const Rotary& rotary, std::int64_t size, std::int64_t tokens) {
  std::vector<double> frequencies = plain(theta_of(rotary, size, tokens), size);
  for (double& frequency : frequencies) {
    if (rotary.kind == RotaryKind::linear) frequency /= rotary.factor;
    if (rotary.kind == RotaryKind::llama3) frequency = llama3(rotary, frequency);
  }
  if (rotary.kind == RotaryKind::yarn) stretch_yarn(rotary, size, frequencies);
  return frequencies;
}

kernels::RotaryTable rotary_positions(const Rotary& rotary, std::int64_t size, std::int64_t first,
                                      std::int64_t tokens) {
  const at::Tensor frequencies = at::tensor(rotary_frequencies(rotary, size, first + tokens), at::kFloat);
  const at::Tensor angles = at::arange(first, first + tokens, at::kFloat).unsqueeze(1) * frequencies;
  const double factor = attention_factor(rotary);
  return {angles.cos().mul_(factor), angles.sin().mul_(factor)};
}

}  // namespace mformer
