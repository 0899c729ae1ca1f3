#pragma once

#include <c10/util/BFloat16.h>

#include <cstdint>

#include "kernels/row_steps.h"

// The loops behind kernels/row_steps.h, one row at a time. Sums are float32, in an order that depends on the width
// only.
namespace mformer::kernels::cpu {

/// y = (x − mean) / sqrt(variance + 1e-5) · weight + bias; bias may be null.
void layer_norm_row(const float* x, int64_t width, const float* weight, const float* bias, float* y);
void layer_norm_row(const float* x, int64_t width, const float* weight, const float* bias, c10::BFloat16* y);

/// x = activation(x).
void activate_row(Activation activation, float* x, int64_t width);
void activate_row(Activation activation, c10::BFloat16* x, int64_t width);

/// x += gate · row.
void add_scaled_row(const float* row, float gate, int64_t width, float* x);
void add_scaled_row(const c10::BFloat16* row, float gate, int64_t width, float* x);

/// x = x / max(‖x‖, 1e-12).
void to_unit_length(float* x, int64_t width);

/// x = softmax(x).
void softmax_row(float* x, int64_t width);

/// The k largest of p by descending value, the first of equals first: where they are, and what.
void largest_of_row(const float* p, int64_t width, int64_t k, int64_t* where, float* largest);

/// x = x / Σ x.
void to_unit_sum(float* x, int64_t width);

/// p [width], logits, becomes their softmax; the k chosen and their gates as kernels::choose gives them.
void choose_row(float* p, int64_t width, int64_t k, ChoiceForm form, int64_t* chosen, float* gates);

/// x = row, widened.
void widen_row(const float* row, int64_t width, float* x);
void widen_row(const c10::BFloat16* row, int64_t width, float* x);

}  // namespace mformer::kernels::cpu
