#include "core/families/gguf_rotary.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numbers>
#include <optional>

#include "core/formats/quoted_name.h"

namespace mformer {
namespace {

using nlohmann::json;

constexpr double kLlama3Context = 8192;
constexpr const char* kOriginalContext = "rope.scaling.original_context_length";

/// What a frequency is divided by in the scaling of Llama 3.1: 1 for short waves, `factor` for long ones, between them
/// 1 / ((1 − s) / factor + s), s = (original context / wavelength − low) / (high − low).
struct Llama3Scaling {
  double factor, low, high, context;

  double divisor(double wavelength) const {
    const double s = (context / wavelength - low) / (high - low);
    if (s <= 0) return factor;
    return s >= 1 ? 1 : 1 / ((1 - s) / factor + s);
  }
};

std::vector<double> wavelengths(double theta, std::size_t count) {
  std::vector<double> waves(count);
  for (std::size_t i = 0; i < count; ++i) {
    waves[i] = 2 * std::numbers::pi * std::pow(theta, static_cast<double>(i) / static_cast<double>(count));
  }
  return waves;
}

bool explains(const Llama3Scaling& scaling, const std::vector<double>& waves, const std::vector<float>& divisors) {
  constexpr double kClose = 1e-4;  // they were computed in float32
  for (std::size_t i = 0; i < waves.size(); ++i) {
    const double expected = scaling.divisor(waves[i]);
    if (!(std::abs(static_cast<double>(divisors[i]) - expected) <= kClose * expected)) return false;
  }
  return true;
}

/// Contexts that models were stretched from: what the metadata say, or the powers of two up to Llama's own.
std::vector<double> original_contexts(std::int64_t said) {
  std::vector<double> contexts;
  if (said > 0) contexts.push_back(static_cast<double>(said));
  for (double context = kLlama3Context; context >= 16; context /= 2) contexts.push_back(context);
  return contexts;
}

/// The factors low and high with which all known models of this scaling were made, or those that the blended
/// frequencies tell: s is a line over 1 / wavelength, of which two points are enough once the context is fixed.
std::optional<Llama3Scaling> llama3_scaling(const std::vector<double>& waves, const std::vector<float>& divisors,
                                            std::int64_t said) {
  const double factor = *std::ranges::max_element(divisors);
  for (const double context : original_contexts(said)) {
    const Llama3Scaling usual{factor, 1, 4, context};
    if (explains(usual, waves, divisors)) return usual;
  }
  std::vector<std::pair<double, double>> points;
  for (std::size_t i = 0; i < waves.size(); ++i) {
    const double divisor = divisors[i], s = (1 / divisor - 1 / factor) / (1 - 1 / factor);
    if (s > 1e-3 && s < 1 - 1e-3) points.emplace_back(1 / waves[i], s);
  }
  if (points.size() < 2) return std::nullopt;
  const auto [x0, s0] = points.front();
  const auto [x1, s1] = points.back();
  const double slope = (s1 - s0) / (x1 - x0), distance = kLlama3Context / slope,
               low = x0 * kLlama3Context - s0 * distance;
  const Llama3Scaling found{factor, low, low + distance, kLlama3Context};
  return explains(found, waves, divisors) ? std::optional(found) : std::nullopt;
}

/// null where the divisors are all 1.
json scaling_of_divisors(GgufFields& fields, const GgufTensor& tensor, std::int64_t head_size, double theta) {
  const std::int64_t said = fields.count(kOriginalContext, 0);
  const auto count = static_cast<std::size_t>(head_size / 2);
  if (tensor.shape.size() != 1 || tensor.shape.front() != head_size / 2) {
    fields.fail("'rope_freqs.weight' is not one number for each of " + std::to_string(count) + " frequencies",
                "fetch the file again");
  }
  const std::vector<float> divisors = fields.values(tensor);
  if (std::ranges::all_of(divisors, [](float d) { return d == 1; })) return nullptr;
  const bool sound = std::ranges::all_of(divisors, [](float d) { return std::isfinite(d) && d > 0; });
  const auto found = sound ? llama3_scaling(wavelengths(theta, count), divisors, said) : std::nullopt;
  if (!found) {
    fields.fail("the rotary frequencies are stretched ('rope_freqs.weight') in no way that mformer computes",
                "it knows that of Llama 3.1");
  }
  return {{"rope_type", "llama3"},
          {"factor", found->factor},
          {"low_freq_factor", found->low},
          {"high_freq_factor", found->high},
          {"original_max_position_embeddings", static_cast<std::int64_t>(found->context)}};
}

json scaling_of_metadata(GgufFields& fields, std::int64_t context) {
  const std::string type = fields.text("rope.scaling.type", "linear");
  const double older = fields.number("rope.scale_linear", 0);
  const double factor = fields.number("rope.scaling.factor", older);
  const std::int64_t original = fields.count(kOriginalContext, context);
  const double attention = fields.number("rope.scaling.attn_factor", 1);
  if (attention != 1) {
    fields.fail("cosines and sines are multiplied ('rope.scaling.attn_factor')", "mformer computes a factor of 1");
  }
  if (type == "none" || ((type == "linear" || type == "yarn") && (factor == 0 || factor == 1))) return nullptr;
  if (type == "linear") return {{"rope_type", "linear"}, {"factor", factor}};
  if (type == "yarn") {
    return {{"rope_type", "yarn"}, {"factor", factor}, {"original_max_position_embeddings", original}};
  }
  fields.fail("the rotary positions are scaled by " + quoted_name(type), "mformer computes linear, yarn and llama3");
}

}  // namespace

void read_gguf_rotary(GgufFields& fields, std::int64_t head_size, std::int64_t context, json& hub) {
  const double theta = fields.number("rope.freq_base", 10'000);
  hub["rope_theta"] = theta;
  const std::int64_t turned = fields.count("rope.dimension_count", head_size);
  if (turned != head_size) {
    fields.fail(std::to_string(turned) + " of " + std::to_string(head_size) +
                    " numbers of a head have rotary positions ('rope.dimension_count')",
                "mformer computes heads that are turned as a whole");
  }
  if (!(theta > 1)) fields.fail("'rope.freq_base' is " + std::to_string(theta), "it must be above 1");
  json scaling = scaling_of_metadata(fields, context);
  if (const GgufTensor* divisors = fields.tensor("rope_freqs.weight")) {
    json of_divisors = scaling_of_divisors(fields, *divisors, head_size, theta);
    if (!of_divisors.is_null() && !scaling.is_null()) {
      fields.fail("the rotary frequencies are stretched twice, by metadata and by 'rope_freqs.weight'",
                  "fetch the file again");
    }
    if (!of_divisors.is_null()) scaling = std::move(of_divisors);
  }
  hub["rope_scaling"] = std::move(scaling);
}

std::vector<float> gguf_rotary_divisors(const Rotary& rotary, std::int64_t head_size) {
  if (rotary.kind != RotaryKind::llama3) return {};
  const Llama3Scaling scaling{rotary.factor, rotary.low_freq_factor, rotary.high_freq_factor,
                              static_cast<double>(rotary.original_context)};
  std::vector<float> divisors;
  for (const double wave : wavelengths(rotary.theta, static_cast<std::size_t>(head_size / 2))) {
    divisors.push_back(static_cast<float>(scaling.divisor(wave)));
  }
  return divisors;
}

}  // namespace mformer
