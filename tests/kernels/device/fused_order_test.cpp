// A GPU runs threads and blocks in any order: results may not depend on it. In loops on the host, both ways round and
// in orders that are drawn.

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "kernels/cuda/host_block.h"
#include "kernels/cuda/launch.h"
#include "kernels/device/fused.h"

namespace mformer::kernels::device {
namespace {

using Tensors = std::vector<at::Tensor>;

template <typename F>
Tensors in_order(cuda::Order order, std::uint64_t seed, const F& f) {
  cuda::set_host_order(order, seed);
  Tensors result = f();
  cuda::set_host_order(cuda::Order::ascending);
  return result;
}

template <typename F>
void expect_same_in_every_order(const F& f) {
  const Tensors first = f();
  for (const at::Tensor& x : first) EXPECT_TRUE(x.isfinite().all().item<bool>());
  for (const std::uint64_t seed : {0, 1, 2, 3}) {
    const Tensors other = in_order(seed == 0 ? cuda::Order::descending : cuda::Order::shuffled, seed, f);
    for (std::size_t i = 0; i < first.size(); ++i) EXPECT_TRUE(first[i].equal(other[i])) << i << ", seed " << seed;
  }
}

TEST(OrderOfThreads, DoesNotMatterToAttention) {
  at::manual_seed(3);
  for (const std::int64_t head_size : {24, 100, 200}) {
    for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
      const bool lasting = head_size != 100;
      const at::Tensor q = at::randn({2, 70, 2, 1, head_size}).to(dtype), grad = at::randn_like(q);
      const at::Tensor k = at::randn({2, 200, 1, head_size}).to(dtype), v = at::randn_like(k);
      const at::Tensor mask = at::rand({2, 200}).gt(0.2);
      if (lasting) {
        q.select(-1, 0).fill_(7.0);
        k.select(-1, 0).fill_(-std::sqrt(static_cast<double>(head_size)));
      }
      expect_same_in_every_order([&] {
        const auto [dq, dk, dv] = fused::stick_breaking_backward(grad, q, k, v, mask);
        return Tensors{fused::stick_breaking_forward(q, k, v, mask), dq, dk, dv};
      });
    }
  }
}

TEST(OrderOfThreads, DoesNotMatterToRouterAndDispatch) {
  at::manual_seed(4);
  const at::Tensor logits = at::randn({700, 48}), dp = at::randn({700, 48}), dgates = at::randn({700, 3});
  const at::Tensor x = at::randn({700, 300}), rows = at::randn({2100, 300}), gates = at::randn({700, 3});
  expect_same_in_every_order([&] {
    const auto [p, top, chosen] = fused::softmax_top_k(logits, 3, {});
    const ModuleDispatch plan = fused::plan_dispatch(chosen, 48);
    const auto [dr, dg] = fused::sum_slots_backward(x, rows, plan.row_of_slot, 3, gates);
    return Tensors{p,
                   top,
                   chosen,
                   fused::softmax_top_k_backward(p, chosen, {}, dp, dgates),
                   plan.slot_of_row,
                   plan.row_of_slot,
                   fused::gather_tokens(x, plan.slot_of_row, 3),
                   fused::sum_slots(rows, plan.row_of_slot, 3, gates),
                   dr,
                   dg};
  });
}

TEST(OrderOfThreads, DoesNotMatterToNormalisedGates) {
  at::manual_seed(5);
  const at::Tensor logits = at::randn({100, 48}), dp = at::randn({100, 48}), dgates = at::randn({100, 3});
  for (const ChoiceForm form : {ChoiceForm{true, false}, ChoiceForm{false, true}}) {
    expect_same_in_every_order([&] {
      const auto [p, gates, chosen] = fused::softmax_top_k(logits, 3, form);
      return Tensors{p, gates, chosen, fused::softmax_top_k_backward(p, chosen, gates, dp, dgates)};
    });
  }
}

TEST(OrderOfThreads, DoesNotMatterToPassesOverRows) {
  at::manual_seed(6);
  const at::Tensor x = at::randn({130, 600}), grad = at::randn({130, 600}), weight = at::randn({600});
  const at::Tensor turned = at::randn({2, 65, 3, 40}), angles = at::randn({65, 20});
  expect_same_in_every_order([&] {
    const auto [y, scale] = fused::rms_norm(x, weight, 1e-5);
    const auto [dx, dw] = fused::rms_norm_backward(grad, x, weight, scale);
    return Tensors{y,
                   scale,
                   dx,
                   dw,
                   fused::rotate(turned, angles.cos(), angles.sin(), false),
                   fused::gated_activation(x, Activation::silu),
                   fused::gated_activation_backward(grad.narrow(1, 0, 300).contiguous(), x, Activation::gelu)};
  });
}

}  // namespace
}  // namespace mformer::kernels::device
