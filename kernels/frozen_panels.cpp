#include "kernels/frozen_panels.h"

#include <ATen/ops/empty.h>

#include "kernels/cpu/matrix_products.h"

namespace mformer::kernels {

const at::Tensor& FrozenPanels::of(const at::Tensor& weight, bool transposed, at::ScalarType dtype) {
  Entry& entry = entries_[{weight.unsafeGetTensorImpl(), transposed, dtype}];
  const auto version = static_cast<std::uint32_t>(weight._version());
  if (entry.panels.defined() && entry.version == version) return entry.panels;
  const std::int64_t inner = weight.size(transposed ? 1 : 0), columns = weight.size(transposed ? 0 : 1);
  entry = {weight, version, at::empty({cpu::panels_bytes(inner, columns, dtype)}, at::kByte)};
  using Order = cpu::RightMatrix::Order;
  cpu::write_panels(
      {weight.const_data_ptr(), weight.scalar_type(), inner, columns, transposed ? Order::transposed : Order::rows},
      dtype, entry.panels.mutable_data_ptr());
  return entry.panels;
}

std::int64_t FrozenPanels::bytes() const {
  std::int64_t sum = 0;
  for (const auto& [key, entry] : entries_) sum += static_cast<std::int64_t>(entry.panels.nbytes());
  return sum;
}

}  // namespace mformer::kernels
