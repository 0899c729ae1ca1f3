#pragma once

#include <c10/util/BFloat16.h>

#include <cstdint>

#include "kernels/cpu/attention_tile.h"

// The products of decoding, where a head has so few rows that packing its keys and values would take longer than to
// multiply them. Sums are float32, in an order that depends on the sizes only.
namespace mformer::kernels::cpu {

/// Keys or values of one head: row j at data + j · row, neighbours within a row.
template <typename T>
struct HeadRows {
  const T* data;
  int64_t row;
  int64_t count;  ///< At most 64.
  int64_t size;
};

/// z[j · 64 + r] = queries[r] · key j, for queries [rows, size].
void score_rows(const HeadRows<float>& keys, const float* queries, int64_t rows, float* z);
void score_rows(const HeadRows<c10::BFloat16>& keys, const float* queries, int64_t rows, float* z);

/// sum[r] [size], at sum + r · width, += Σ over j of weights[j · 64 + r] · value j.
void read_rows(const HeadRows<float>& values, const float* weights, int64_t rows, float* sum, int64_t width);
void read_rows(const HeadRows<c10::BFloat16>& values, const float* weights, int64_t rows, float* sum, int64_t width);

}  // namespace mformer::kernels::cpu
