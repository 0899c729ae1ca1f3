#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/ivalue.h>

#include <cstdint>
#include <map>
#include <tuple>
#include <vector>

namespace mformer::kernels {

/// Panels (kernels/cpu/panel_product.h) of weights that do not change, packed at their first use and kept for the next
/// training steps: as much memory again for each direction and dtype in which a weight is used. Not for several threads
/// at once.
class FrozenPanels : public torch::CustomClassHolder {
 public:
  /// The panels of `weight` [in, out], float32 or bfloat16, contiguous, or of its transpose, as `dtype`. Packed again
  /// if the weight was changed in place since.
  const at::Tensor& of(const at::Tensor& weight, bool transposed, at::ScalarType dtype);

  /// On other devices: the weights [in, out] as one [modules, in, out] of `dtype`, copied at their first use and again
  /// if one was changed in place since. Nothing is copied or held where they already are that (stacked_weights.h).
  at::Tensor stacked(at::TensorList weights, at::ScalarType dtype);

  /// What is held.
  std::int64_t bytes() const;

 private:
  struct Entry {
    at::Tensor weight;  // held, so that no other tensor gets its address
    std::uint32_t version = 0;
    at::Tensor panels;
  };
  struct Stack {
    std::vector<at::Tensor> weights;
    std::vector<std::uint32_t> versions;
    at::Tensor all;
    bool is_of(at::TensorList others) const;
  };
  std::map<std::tuple<const void*, bool, at::ScalarType>, Entry> entries_;
  std::map<std::pair<const void*, at::ScalarType>, Stack> stacks_;  // by the first weight
};

}  // namespace mformer::kernels
