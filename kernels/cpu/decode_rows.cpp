#include "kernels/cpu/decode_rows.h"

#include <cstring>

#include "kernels/cpu/clones.h"
#include "kernels/cpu/row_values.h"

namespace mformer::kernels::cpu {
namespace {

constexpr int64_t kVector = 16;
using Vector [[gnu::vector_size(4 * kVector)]] = float;
using Words [[gnu::vector_size(4 * kVector)]] = uint32_t;
using Halves [[gnu::vector_size(2 * kVector)]] = uint16_t;

// By reference: how vectors are passed by value depends on the processor.
MFORMER_INLINE void read(const float* from, Vector& to) {
  std::memcpy(&to, from, sizeof to);
}
MFORMER_INLINE void read(const c10::BFloat16* from, Vector& to) {
  Halves halves;
  std::memcpy(&halves, from, sizeof halves);
  const Words words = __builtin_convertvector(halves, Words) << 16U;
  std::memcpy(&to, &words, sizeof to);
}

/// Σ of the lanes, by halves.
MFORMER_INLINE float sum_of_lanes(Vector& v) {
  v += __builtin_shuffle(v, Words{8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7});
  v += __builtin_shuffle(v, Words{4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11});
  v += __builtin_shuffle(v, Words{2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13});
  return v[0] + v[1];
}

/// A few rows, whose sums are in registers.
template <int kRows, typename T>
MFORMER_INLINE void score_few(const HeadRows<T>& keys, const float* queries, float* z) {
  const int64_t whole = keys.size / kVector * kVector;
  for (int64_t j = 0; j < keys.count; ++j) {
    const T* key = keys.data + j * keys.row;
    Vector sum[kRows] = {};
    for (int64_t c = 0; c < whole; c += kVector) {
      Vector k;
      read(key + c, k);
      for (int r = 0; r < kRows; ++r) {
        Vector q;
        read(queries + r * keys.size + c, q);
        sum[r] += q * k;
      }
    }
    for (int r = 0; r < kRows; ++r) {
      float total = sum_of_lanes(sum[r]);
      for (int64_t c = whole; c < keys.size; ++c) total += queries[r * keys.size + c] * get(key, c);
      z[j * kTileColumns + r] = total;
    }
  }
}

template <typename T>
MFORMER_INLINE void score_any(const HeadRows<T>& keys, const float* queries, int64_t rows, float* z) {
  for (; rows >= 4; rows -= 4, queries += 4 * keys.size, z += 4) score_few<4>(keys, queries, z);
  if (rows == 3) score_few<3>(keys, queries, z);
  if (rows == 2) score_few<2>(keys, queries, z);
  if (rows == 1) score_few<1>(keys, queries, z);
}

/// Some vectors of a row, whose sums are in registers.
template <int kVectors, typename T>
MFORMER_INLINE void read_few(const HeadRows<T>& values, int64_t column, const float* weights, float* sum) {
  Vector total[kVectors];
  for (int v = 0; v < kVectors; ++v) read(sum + column + v * kVector, total[v]);
  for (int64_t j = 0; j < values.count; ++j) {
    const T* value = values.data + j * values.row + column;
    const float weight = weights[j * kTileColumns];
    for (int v = 0; v < kVectors; ++v) {
      Vector x;
      read(value + v * kVector, x);
      total[v] += weight * x;
    }
  }
  for (int v = 0; v < kVectors; ++v) std::memcpy(sum + column + v * kVector, &total[v], sizeof total[v]);
}

template <typename T>
MFORMER_INLINE void read_any(const HeadRows<T>& values, const float* weights, int64_t rows, float* sum, int64_t width) {
  for (int64_t r = 0; r < rows; ++r, ++weights, sum += width) {
    int64_t column = 0;
    for (; column + 4 * kVector <= values.size; column += 4 * kVector) read_few<4>(values, column, weights, sum);
    for (; column + kVector <= values.size; column += kVector) read_few<1>(values, column, weights, sum);
    for (int64_t j = 0; j < values.count && column < values.size; ++j) {
      for (int64_t c = column; c < values.size; ++c) {
        sum[c] += weights[j * kTileColumns] * get(values.data + j * values.row, c);
      }
    }
  }
}

}  // namespace

MFORMER_CLONES void score_rows(const HeadRows<float>& keys, const float* queries, int64_t rows, float* z) {
  score_any(keys, queries, rows, z);
}
MFORMER_CLONES void score_rows(const HeadRows<c10::BFloat16>& keys, const float* queries, int64_t rows, float* z) {
  score_any(keys, queries, rows, z);
}

MFORMER_CLONES void read_rows(const HeadRows<float>& values, const float* weights, int64_t rows, float* sum,
                              int64_t width) {
  read_any(values, weights, rows, sum, width);
}
MFORMER_CLONES void read_rows(const HeadRows<c10::BFloat16>& values, const float* weights, int64_t rows, float* sum,
                              int64_t width) {
  read_any(values, weights, rows, sum, width);
}

}  // namespace mformer::kernels::cpu
