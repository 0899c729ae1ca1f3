#include "kernels/cpu/exponentials.h"

#include "kernels/cpu/clones.h"
#include "kernels/cpu/vector_math.h"

namespace mformer::kernels::cpu {
namespace {

/// Partial results, so that a sum has the same order for every width of vectors.
constexpr int64_t kLanes = 32;

}  // namespace

MFORMER_CLONES float exponentials(float* x, int64_t count, float& scale) {
  const int64_t whole = count / kLanes * kLanes;
  float lane[kLanes];
  std::fill_n(lane, kLanes, x[0]);
  for (int64_t i = 0; i < whole; i += kLanes) {
    for (int64_t l = 0; l < kLanes; ++l) lane[l] = std::max(lane[l], x[i + l]);
  }
  float most = lane[0];
  for (int64_t l = 1; l < kLanes; ++l) most = std::max(most, lane[l]);
  for (int64_t i = whole; i < count; ++i) most = std::max(most, x[i]);

  std::fill_n(lane, kLanes, 0.0F);
  for (int64_t i = 0; i < whole; i += kLanes) {
    for (int64_t l = 0; l < kLanes; ++l) {
      const float e = exp_of_negative(x[i + l] - most);
      x[i + l] = e;
      lane[l] += e;
    }
  }
  double sum = 0;
  for (int64_t i = whole; i < count; ++i) sum += x[i] = exp_of_negative(x[i] - most);
  for (const float l : lane) sum += l;
  scale = static_cast<float>(1.0 / sum);
  return most + static_cast<float>(std::log(sum));
}

MFORMER_CLONES void scaled(const float* x, int64_t count, float factor, float* to) {
  for (int64_t i = 0; i < count; ++i) to[i] = factor * x[i];
}

MFORMER_CLONES void scaled(const float* x, int64_t count, float factor, c10::BFloat16* to) {
  auto* bits = reinterpret_cast<uint16_t*>(to);
  for (int64_t i = 0; i < count; ++i) bits[i] = rounded_to_bfloat16(factor * x[i]);
}

}  // namespace mformer::kernels::cpu
