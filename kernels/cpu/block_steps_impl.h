// What a step of block_product_impl.h's sums is made of: vectors of one kind of processor, MFORMER_LANES wide. Internal
// linkage, as there.

#include "kernels/cpu/block_product.h"
#include "kernels/cpu/inline_impl.h"

#if MFORMER_LANES > 4
#include <immintrin.h>
#endif

namespace mformer::kernels::cpu {
namespace {

// One register. By reference: how vectors are passed by value depends on the processor.
constexpr int64_t kLanes = MFORMER_LANES;
using Floats [[gnu::vector_size(4 * kLanes)]] = float;
using Ints [[gnu::vector_size(4 * kLanes)]] = int32_t;
using Words [[gnu::vector_size(4 * kLanes)]] = uint32_t;

constexpr int64_t kSteps = kInputsPerGroup / 4;  ///< Of four inputs.
constexpr int64_t kStepBytes = 4 * kPanelColumns;
constexpr int64_t kScalesAt8 = kSteps * kStepBytes;
constexpr int64_t kScalesAt4 = kScalesAt8 / 2;
constexpr uint32_t kHalves = 0x0f0f0f0fU;

/// The value of a float16.
MFORMER_INLINE float half(uint16_t bits) {
  const uint32_t sign = static_cast<uint32_t>(bits & 0x8000U) << 16U, magnitude = bits & 0x7fffU;
  if (magnitude >= 0x7c00U) {
    const uint32_t not_finite = sign | 0x7f800000U | (magnitude & 0x3ffU) << 13U;
    return read<float>(&not_finite);
  }
  // Shifted into a float32 it is too small by 2¹¹², which is exact for subnormal numbers, too.
  const uint32_t shifted = magnitude << 13U, scale = 0x77800000U;
  const float value = read<float>(&shifted) * read<float>(&scale);
  const uint32_t signed_bits = read<uint32_t>(&value) | sign;
  return read<float>(&signed_bits);
}

MFORMER_INLINE void halves(const uint8_t* from, Floats& to) {
#if MFORMER_LANES == 16
  to = (Floats)_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
#elif MFORMER_LANES == 8
  to = (Floats)_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
#else
  for (int64_t lane = 0; lane < kLanes; ++lane) to[lane] = half(read<uint16_t>(from + 2 * lane));
#endif
}

/// Four codes of a row, for all lanes.
struct Left {
  Words codes;
#if MFORMER_LANES == 8
  __m256i magnitudes;
#endif
};

MFORMER_INLINE void left(const int8_t* codes, bool signs, Left& to) {
  const auto word = read<uint32_t>(codes);
  to.codes = Words{} + word;
#if MFORMER_LANES == 8
  if (signs) to.magnitudes = _mm256_abs_epi8((__m256i)to.codes);
#else
  (void)signs;
#endif
}

/// Where the sum of a group begins, so that codes + 128 count as what they are.
MFORMER_INLINE void start8(int32_t sum_of_codes, Ints& sum) {
#if MFORMER_LANES == 8
  (void)sum_of_codes;
  sum = Ints{};
#else
  sum = Ints{} - 128 * sum_of_codes;
#endif
}

#if MFORMER_LANES == 4
/// Σ of four products a lane, of bytes without a sign and codes.
MFORMER_INLINE void add_bytes(const Words& bytes, const Left& x, Ints& sum) {
  for (int i = 0; i < 4; ++i) {
    const Ints code = (Ints)(x.codes << (24U - 8U * i)) >> 24;
    sum += (Ints)(bytes >> (8U * i) & 0xffU) * code;
  }
}
#endif

/// sum += Σ of four codes of weights (+ 128 as they are stored) times those of the row.
MFORMER_INLINE void add8(const Words& weights, const Left& x, Ints& sum) {
#if MFORMER_LANES == 16
  sum = (Ints)_mm512_dpbusd_epi32((__m512i)sum, (__m512i)weights, (__m512i)x.codes);
#elif MFORMER_LANES == 8
  // The instruction wants one factor without a sign: the row's moves to the weights. Pairs stay below 2¹⁵.
  const Words as_signed = weights ^ 0x80808080U;
  const __m256i moved = _mm256_sign_epi8((__m256i)as_signed, (__m256i)x.codes);
  const __m256i pairs = _mm256_maddubs_epi16(x.magnitudes, moved);
  sum += (Ints)_mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
#else
  add_bytes(weights, x, sum);
#endif
}

/// The same of codes 0 … 15. With AVX2 `sum` holds pairs of 16 bits, enough for a group: 16 · 15 · 127 < 2¹⁵.
MFORMER_INLINE void add4(const Words& weights, const Left& x, Ints& sum) {
#if MFORMER_LANES == 16
  sum = (Ints)_mm512_dpbusd_epi32((__m512i)sum, (__m512i)weights, (__m512i)x.codes);
#elif MFORMER_LANES == 8
  sum = (Ints)_mm256_add_epi16((__m256i)sum, _mm256_maddubs_epi16((__m256i)weights, (__m256i)x.codes));
#else
  add_bytes(weights, x, sum);
#endif
}

MFORMER_INLINE void finish4(Ints& sum) {
#if MFORMER_LANES == 8
  sum = (Ints)_mm256_madd_epi16((__m256i)sum, _mm256_set1_epi16(1));
#else
  (void)sum;
#endif
}

/// Asks for what lies a page further on: a core sees too few loads ahead of the instructions between them.
MFORMER_INLINE void prefetch(const uint8_t* from) {
  __builtin_prefetch(from + 4096);
}

}  // namespace
}  // namespace mformer::kernels::cpu
