#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/mm.h>

namespace mformer::kernels::device {

/// a [m, n] · b [n, p] of two matrices of one dtype, summed and returned in float32 for bfloat16 and float16.
inline at::Tensor wide_mm(const at::Tensor& a, const at::Tensor& b) {
  const bool half = a.scalar_type() == at::kBFloat16 || a.scalar_type() == at::kHalf;
  if (!half) return at::mm(a, b);
  if (a.is_cuda()) return at::mm(a, b, at::kFloat);  // other devices have no such product
  return at::mm(a.to(at::kFloat), b.to(at::kFloat));
}

}  // namespace mformer::kernels::device
