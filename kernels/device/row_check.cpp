#include "kernels/device/checker.h"
#include "kernels/device/fused.h"
#include "kernels/device/row_kernels.h"

namespace mformer::kernels::device {
namespace {

void check_norm(Checker& checker, const std::string& input, double tolerance, const at::Tensor& x,
                const at::Tensor& grad, const at::Tensor& weight) {
  const auto run = [](const auto& forward, const auto& backward, const at::Tensor& in, const at::Tensor& dy,
                      const at::Tensor& w) {
    const auto [y, scale] = forward(in, w, 1e-5);
    const auto [dx, dw] = backward(dy, in, w, scale);
    return Results{y, scale, dx, dw};
  };
  const at::Tensor x2 = checker.there(x), dy = checker.there(grad), w = checker.there(weight);
  checker.check(
      Kernel::rms_norm, input, tolerance,
      run(composite::rms_norm, composite::rms_norm_backward, x.to(at::kDouble), grad.to(at::kDouble),
          weight.to(at::kDouble)),
      [&] { return run(fused::rms_norm, fused::rms_norm_backward, x2, dy, w); },
      [&] { return run(composite::rms_norm, composite::rms_norm_backward, x2, dy, w); });
}

void check_gate(Checker& checker, const std::string& input, double tolerance, const at::Tensor& x,
                const at::Tensor& grad) {
  const auto run = [](const auto& forward, const auto& backward, const at::Tensor& in, const at::Tensor& dy) {
    Results results;
    for (const Activation activation :
         {Activation::gelu_tanh, Activation::gelu, Activation::relu, Activation::silu, Activation::tanh}) {
      results.push_back(forward(in, activation));
      results.push_back(backward(dy, in, activation));
    }
    return results;
  };
  const at::Tensor x2 = checker.there(x), dy = checker.there(grad);
  checker.check(
      Kernel::gated_activation, input, tolerance,
      run(composite::gated_activation, composite::gated_activation_backward, x.to(at::kDouble), grad.to(at::kDouble)),
      [&] { return run(fused::gated_activation, fused::gated_activation_backward, x2, dy); },
      [&] { return run(composite::gated_activation, composite::gated_activation_backward, x2, dy); });
}

void check_turn(Checker& checker, const std::string& input, double tolerance, const at::Tensor& x,
                const at::Tensor& angles) {
  const auto run = [](const auto& rotate, const at::Tensor& in, const at::Tensor& a) {
    return Results{rotate(in, a.cos(), a.sin(), false), rotate(in, a.cos(), a.sin(), true)};
  };
  const at::Tensor x2 = checker.there(x), angles2 = checker.there(angles);
  checker.check(
      Kernel::rotary, input, tolerance, run(composite::rotate, x.to(at::kDouble), angles),
      [&] { return run(fused::rotate, x2, angles2); }, [&] { return run(composite::rotate, x2, angles2); });
}

}  // namespace

void check_rows(Checker& checker, std::int64_t count, std::int64_t width) {
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    const std::string input = std::to_string(count) + " rows of " + std::to_string(width) +
                              (dtype == at::kFloat ? ", float32" : ", bfloat16");
    const double tolerance = dtype == at::kFloat ? kFloat32 : kBFloat16;
    const at::Tensor x = checker.random({count, width}).to(dtype), grad = checker.random({count, width}).to(dtype);
    const at::Tensor weight = checker.random({width});
    check_norm(checker, input, tolerance, x, grad, weight);
    check_gate(checker, input, tolerance, x, grad.narrow(1, 0, width / 2).contiguous());
    check_turn(checker, input, tolerance, x.view({2, count / 2, 2, width / 2}),
               checker.random({count / 2, width / 4}).sin());
  }
}

}  // namespace mformer::kernels::device
