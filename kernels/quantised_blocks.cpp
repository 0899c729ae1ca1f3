#include "kernels/quantised_blocks.h"

#include <ATen/ops/aminmax.h>
#include <ATen/ops/empty.h>
#include <c10/util/Half.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "kernels/cpu/clones.h"
#include "kernels/cpu/tasks.h"

namespace mformer::kernels {
namespace {

constexpr int64_t kBytes8 = 2 + kGroupSize;
constexpr int64_t kBytes4 = 4 + kGroupSize / 2;
constexpr float kMost4 = 15;

/// The least float16 that is not below x, x ≥ 0.
c10::Half rounded_up(float x) {
  c10::Half half(x);
  if (static_cast<float>(half) < x) half.x += 1;  // the next one, as positive numbers are ordered like their bits
  return half;
}

void write_half(c10::Half value, uint8_t* to) {
  std::memcpy(to, &value.x, 2);
}

float read_half(const uint8_t* from) {
  c10::Half value;
  std::memcpy(&value.x, from, 2);
  return value;
}

MFORMER_CLONES void quantize8(const float* x, int64_t count, uint8_t* to) {
  float most = 0;
  for (int64_t i = 0; i < count; ++i) most = std::max(most, std::abs(x[i]));
  const c10::Half scale = rounded_up(most / 127);
  const float d = scale;
  write_half(scale, to);
  for (int64_t i = 0; i < count; ++i) {
    const float code = d > 0 ? std::nearbyint(x[i] / d) : 0.0F;
    to[2 + i] = static_cast<uint8_t>(static_cast<int8_t>(std::clamp(code, -127.0F, 127.0F)));
  }
}

/// A scale and a minimum in four bits, as float16 holds them.
struct Line {
  float scale = 0, least = 0;
};

Line as_halves(float scale, float least) {
  return {static_cast<float>(c10::Half(scale)), static_cast<float>(c10::Half(least))};
}

/// What the codes of a line add up to, for its squared error and for the line that fits these codes best.
struct Fit {
  float error = 0, most = 0;  ///< The sum of the squared errors; the largest magnitude of one.
  float codes = 0, squares = 0, products = 0;
};

/// The code of x as a whole number of float32: halves round up, which truncation does in a vector.
inline float code_of(const Line& line, float inverse, float x) {
  const float code = std::min(std::max((x - line.least) * inverse, 0.0F), kMost4);
  return static_cast<float>(static_cast<int>(code + 0.5F));
}

float inverse_of(const Line& line) {
  return line.scale > 0 ? 1 / line.scale : 0.0F;
}

/// Of a whole group; what lies beyond the row repeats its first weight.
MFORMER_CLONES Fit fit_of(const Line& line, const float* x) {
  const float inverse = inverse_of(line);
  float code[kGroupSize], error[kGroupSize];
  for (int64_t i = 0; i < kGroupSize; ++i) {
    code[i] = code_of(line, inverse, x[i]);
    error[i] = x[i] - (line.scale * code[i] + line.least);
  }
  // Side by side, so that a vector holds them; then the sides.
  constexpr int64_t kSides = 8;
  float errors[kSides] = {}, most[kSides] = {}, codes[kSides] = {}, squares[kSides] = {}, products[kSides] = {};
  for (int64_t i = 0; i < kGroupSize; i += kSides) {
    for (int64_t s = 0; s < kSides; ++s) {
      errors[s] += error[i + s] * error[i + s];
      most[s] = std::max(most[s], std::abs(error[i + s]));
      codes[s] += code[i + s];
      squares[s] += code[i + s] * code[i + s];
      products[s] += code[i + s] * x[i + s];
    }
  }
  Fit fit;
  for (int64_t s = 0; s < kSides; ++s) {
    fit.error += errors[s], fit.most = std::max(fit.most, most[s]);
    fit.codes += codes[s], fit.squares += squares[s], fit.products += products[s];
  }
  return fit;
}

/// Scale and minimum that fit the codes best: a straight line through (code, x).
Line refitted(const Line& line, const Fit& fit, float sum) {
  const auto n = static_cast<float>(kGroupSize);
  const float spread = n * fit.squares - fit.codes * fit.codes;
  if (spread <= 0) return line;
  const float scale = (n * fit.products - fit.codes * sum) / spread;
  return as_halves(scale, (sum - scale * fit.codes) / n);
}

/// Lines that cut off a little of the group's range at both ends, each refitted once: the rest is then finer.
Line best_line(const float* x) {
  constexpr int kTries = 6;
  const auto [least, most] = std::minmax_element(x, x + kGroupSize);
  const float step = (*most - *least) / kMost4, sum = std::accumulate(x, x + kGroupSize, 0.0F);
  Line best{static_cast<float>(rounded_up(step)), static_cast<float>(c10::Half(*least))};
  float error = fit_of(best, x).error;
  for (int t = 0; t < kTries && step > 0; ++t) {
    const float cut = step * 0.15F * static_cast<float>(t);
    Line line = as_halves((*most - *least - 2 * cut) / kMost4, *least + cut);
    for (int round = 0; round < 2; ++round) {
      const Fit fit = fit_of(line, x);
      if (fit.error < error && fit.most <= step) best = line, error = fit.error;
      line = refitted(line, fit, sum);
    }
  }
  return best;
}

void quantize4(const float* x, int64_t count, uint8_t* to) {
  float group[kGroupSize];
  for (int64_t i = 0; i < kGroupSize; ++i) group[i] = x[i < count ? i : 0];
  const Line line = best_line(group);
  const float inverse = inverse_of(line);
  write_half(c10::Half(line.scale), to);
  write_half(c10::Half(line.least), to + 2);
  for (int64_t i = 0; i < count; ++i) {
    const auto code = static_cast<uint8_t>(code_of(line, inverse, group[i]));
    to[4 + i % 16] |= static_cast<uint8_t>(i < 16 ? code : code << 4);
  }
}

void dequantize_group(const uint8_t* block, int bits, float* to) {
  const float scale = read_half(block);
  if (bits == 8) {
    for (int64_t i = 0; i < kGroupSize; ++i) {
      to[i] = scale * static_cast<float>(std::max<int>(static_cast<int8_t>(block[2 + i]), -127));
    }
    return;
  }
  const float least = read_half(block + 2);
  for (int64_t i = 0; i < kGroupSize / 2; ++i) {
    to[i] = scale * static_cast<float>(block[4 + i] & 15U) + least;
    to[i + kGroupSize / 2] = scale * static_cast<float>(block[4 + i] >> 4U) + least;
  }
}

}  // namespace

int64_t block_bytes(int bits) {
  TORCH_CHECK(bits == 8 || bits == 4, "blocks have 8 or 4 bits a weight, not ", bits);
  return bits == 8 ? kBytes8 : kBytes4;
}

bool is_blocks(const at::Tensor& x) {
  return x.defined() && x.scalar_type() == at::kByte && x.dim() == 3 && (x.size(2) == kBytes8 || x.size(2) == kBytes4);
}

int bits_of(const at::Tensor& blocks) {
  TORCH_CHECK(is_blocks(blocks), "blocks must be uint8 [rows, groups, 34 or 20]");
  return blocks.size(2) == kBytes8 ? 8 : 4;
}

at::Tensor quantize_blocks(const at::Tensor& weight, int bits) {
  TORCH_CHECK(weight.defined() && weight.dim() == 2 && weight.is_floating_point() && weight.device().is_cpu() &&
                  weight.numel() > 0,
              "weight must be a floating-point matrix on the CPU, not empty");
  const at::Tensor w = weight.detach().to(at::kFloat).contiguous();
  const auto [least, most] = at::aminmax(w);
  // Comparisons with NaN are false.
  TORCH_CHECK(least.item<float>() >= -kMostInBlocks && most.item<float>() <= kMostInBlocks,
              "weight must be finite, with magnitudes up to ", kMostInBlocks);
  const int64_t rows = w.size(0), inputs = w.size(1), groups = groups_of(inputs), bytes = block_bytes(bits);
  at::Tensor blocks = at::empty({rows, groups, bytes}, at::kByte).zero_();
  const float* from = w.const_data_ptr<float>();
  auto* to = blocks.mutable_data_ptr<uint8_t>();
  cpu::for_each_task((rows + 63) / 64, w.numel() * 32, [&](int64_t task) {
    for (int64_t row = task * 64; row < std::min(rows, task * 64 + 64); ++row) {
      for (int64_t g = 0; g < groups; ++g) {
        const float* x = from + row * inputs + g * kGroupSize;
        const int64_t count = std::min(kGroupSize, inputs - g * kGroupSize);
        (bits == 8 ? quantize8 : quantize4)(x, count, to + (row * groups + g) * bytes);
      }
    }
  });
  return blocks;
}

at::Tensor dequantize_blocks(const at::Tensor& blocks, int64_t inputs, at::ScalarType dtype) {
  const int bits = bits_of(blocks);
  TORCH_CHECK(blocks.size(1) == groups_of(inputs), "blocks of ", blocks.size(1), " groups hold no row of ", inputs);
  const at::Tensor all = blocks.cpu().contiguous();
  const int64_t rows = all.size(0), groups = all.size(1), bytes = all.size(2);
  at::Tensor values = at::empty({rows, inputs}, at::kFloat);
  const auto* from = all.const_data_ptr<uint8_t>();
  auto* to = values.mutable_data_ptr<float>();
  cpu::for_each_task((rows + 63) / 64, values.numel() * 2, [&](int64_t task) {
    for (int64_t row = task * 64; row < std::min(rows, task * 64 + 64); ++row) {
      for (int64_t g = 0; g < groups; ++g) {
        float group[kGroupSize];
        dequantize_group(from + (row * groups + g) * bytes, bits, group);
        std::copy_n(group, std::min(kGroupSize, inputs - g * kGroupSize), to + row * inputs + g * kGroupSize);
      }
    }
  });
  return values.to(blocks.device(), dtype);
}

at::Tensor as_numbers(const at::Tensor& weight, int64_t inputs, at::ScalarType dtype) {
  return is_blocks(weight) ? dequantize_blocks(weight, inputs, dtype) : weight;
}

bool are_sound(const at::Tensor& blocks) {
  const int bits = bits_of(blocks);
  const at::Tensor all = blocks.contiguous();
  const auto* block = all.const_data_ptr<uint8_t>();
  const int64_t bytes = all.size(2), count = all.size(0) * all.size(1);
  for (int64_t i = 0; i < count; ++i, block += bytes) {
    if (!std::isfinite(read_half(block)) || (bits == 4 && !std::isfinite(read_half(block + 2)))) return false;
  }
  return true;
}

}  // namespace mformer::kernels
