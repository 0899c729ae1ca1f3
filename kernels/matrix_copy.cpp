#include "kernels/matrix_copy.h"

#include <ATen/ops/empty.h>

#include "kernels/cpu/transpose.h"

namespace mformer::kernels {
namespace {

/// Whether the elements of a column follow each other, and its columns do not overlap.
bool has_columns(const at::Tensor& x) {
  return x.stride(0) == 1 && x.stride(1) >= x.size(0);
}

bool has_rows(const at::Tensor& x) {
  return x.stride(1) == 1 && x.stride(0) >= x.size(1);
}

template <class T>
void transpose_elements(const at::Tensor& to, const at::Tensor& from) {
  cpu::transpose(static_cast<const T*>(from.const_data_ptr()), from.stride(1), from.size(1), from.size(0),
                 static_cast<T*>(to.mutable_data_ptr()), to.stride(0));
}

/// Whether it was done: `to` has rows, `from` columns.
bool transposed(const at::Tensor& to, const at::Tensor& from) {
  switch (to.element_size()) {
    case 1:
      transpose_elements<std::uint8_t>(to, from);
      return true;
    case 2:
      transpose_elements<std::uint16_t>(to, from);
      return true;
    case 4:
      transpose_elements<std::uint32_t>(to, from);
      return true;
    default:
      return false;
  }
}

}  // namespace

void copy_matrix(const at::Tensor& to, const at::Tensor& from) {
  TORCH_CHECK(to.sizes() == from.sizes(), "a matrix ", from.sizes(), " does not fit ", to.sizes());
  const bool alike = to.dim() == 2 && to.scalar_type() == from.scalar_type() && to.device().is_cpu() &&
                     from.device().is_cpu() && to.is_neg() == from.is_neg() && to.is_conj() == from.is_conj();
  if (alike && has_rows(to) && has_columns(from) && transposed(to, from)) return;
  if (alike && has_columns(to) && has_rows(from) && transposed(to.t(), from.t())) return;
  to.copy_(from);
}

at::Tensor contiguous_as(const at::Tensor& from, at::ScalarType type) {
  const at::Tensor typed = from.to(type);  // as it lies in memory
  if (typed.is_contiguous()) return typed;
  const at::Tensor whole = at::empty(typed.sizes(), typed.scalar_type());
  copy_matrix(whole, typed);
  return whole;
}

}  // namespace mformer::kernels
