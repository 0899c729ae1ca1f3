// Our GPU kernels of RMSNorm, rotary positions and gated activations against the composites in float64.

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "kernels/device/fused.h"
#include "kernels/device/row_kernels.h"
#include "tests/kernels/device/gpu.h"
#include "tests/support/tolerance.h"

namespace mformer::kernels::device {
namespace {

using mformer::testing::relative_error;

class FusedRows : public testing::OnHostAndGpu {
 protected:
  FusedRows() { at::manual_seed(21); }

  void expect_near(const at::Tensor& actual, const at::Tensor& expected) const {
    const double tolerance = actual.scalar_type() == at::kFloat ? testing::kFloat32 : testing::kOneBFloat16Rounding;
    EXPECT_LE(relative_error(actual.cpu(), expected), tolerance) << actual.sizes() << actual.scalar_type();
  }
};

TEST_P(FusedRows, NormaliseAsTheCompositesDo) {
  // Around the threads of a block and the rows of a piece.
  for (const std::int64_t rows : {1, 63, 64, 65, 200}) {
    for (const std::int64_t width : {24, 255, 256, 257, 1024}) {
      for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
        const at::Tensor x = at::randn({rows, width}).to(dtype), grad = at::randn({rows, width}).to(dtype);
        const at::Tensor weight = at::randn({width}), wide = x.to(at::kDouble), wide_weight = weight.to(at::kDouble);
        const auto [y, scale] = fused::rms_norm(there(x), there(weight), 1e-5);
        const auto [dx, dw] = fused::rms_norm_backward(there(grad), there(x), there(weight), scale);
        const auto [y2, scale2] = composite::rms_norm(wide, wide_weight, 1e-5);
        const auto [dx2, dw2] = composite::rms_norm_backward(grad.to(at::kDouble), wide, wide_weight, scale2);
        expect_near(y, y2);
        expect_near(scale, scale2);
        expect_near(dx, dx2);
        expect_near(dw, dw2);
      }
    }
  }
}

TEST_P(FusedRows, TurnAsTheCompositesDo) {
  for (const auto& [batch, tokens, heads, size] : {std::tuple(1, 1, 1, 2), {2, 7, 3, 40}, {1, 33, 6, 128}}) {
    const at::Tensor angles = at::randn({tokens, size / 2}), cos = angles.cos(), sin = angles.sin();
    for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
      const at::Tensor x = at::randn({batch, tokens, heads, size}).to(dtype);
      for (const bool inverse : {false, true}) {
        const at::Tensor y = fused::rotate(there(x), there(cos), there(sin), inverse);
        // Two values are not enough for roundings to average out.
        EXPECT_LE(relative_error(y.cpu(), composite::rotate(x.to(at::kDouble), cos, sin, inverse)),
                  dtype == at::kFloat ? testing::kFloat32 : testing::kTwoBFloat16Roundings);
      }
    }
  }
}

TEST_P(FusedRows, GateAsTheCompositesDoAndStayFinite) {
  for (const Activation activation :
       {Activation::gelu_tanh, Activation::gelu, Activation::relu, Activation::silu, Activation::tanh}) {
    for (const std::int64_t hidden : {20, 256, 300}) {
      for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
        const at::Tensor x = (2 * at::randn({33, 2 * hidden})).to(dtype), grad = at::randn({33, hidden}).to(dtype);
        expect_near(fused::gated_activation(there(x), activation),
                    composite::gated_activation(x.to(at::kDouble), activation));
        expect_near(fused::gated_activation_backward(there(grad), there(x), activation),
                    composite::gated_activation_backward(grad.to(at::kDouble), x.to(at::kDouble), activation));
      }
    }
    const at::Tensor x = at::tensor({-1e30F, 1.0F, 1e30F, 1.0F, -200.0F, 1.0F, 200.0F, 1.0F}).view({4, 2});
    const at::Tensor y = fused::gated_activation(there(x), activation);
    EXPECT_LE(relative_error(y.cpu(), composite::gated_activation(x.to(at::kDouble), activation)), 1e-6);
    const at::Tensor dx = fused::gated_activation_backward(there(at::ones({4, 1})), there(x), activation);
    EXPECT_TRUE(dx.isfinite().all().item<bool>()) << static_cast<int>(activation);
  }
}

MFORMER_ON_HOST_AND_GPU(FusedRows);

}  // namespace
}  // namespace mformer::kernels::device
