#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/ivalue.h>

#include <cstdint>
#include <map>
#include <tuple>

namespace mformer::kernels {

/// Panels (kernels/cpu/panel_product.h) of weights that do not change, packed at their first use and kept for the next
/// training steps: as much memory again for each direction and dtype in which a weight is used. Not for several threads
/// at once.
class FrozenPanels : public torch::CustomClassHolder {
 public:
  /// The panels of `weight` [in, out], float32 or bfloat16, contiguous, or of its transpose, as `dtype`. Packed again
  /// if the weight was changed in place since.
  const at::Tensor& of(const at::Tensor& weight, bool transposed, at::ScalarType dtype);

  /// What is held.
  std::int64_t bytes() const;

 private:
  struct Entry {
    at::Tensor weight;  // held, so that no other tensor gets its address
    std::uint32_t version = 0;
    at::Tensor panels;
  };
  std::map<std::tuple<const void*, bool, at::ScalarType>, Entry> entries_;
};

}  // namespace mformer::kernels
