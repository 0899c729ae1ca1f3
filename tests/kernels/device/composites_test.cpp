// The public operations on a device that is not the CPU, against the CPU's kernels: results and gradients.

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernels/adamw.h"
#include "kernels/device/softmax_attention.h"
#include "kernels/device/stick_breaking_attention.h"
#include "kernels/gated_activation.h"
#include "kernels/grouped_linear.h"
#include "kernels/linear.h"
#include "kernels/linear_cross_entropy.h"
#include "kernels/module_dispatch.h"
#include "kernels/rms_norm.h"
#include "kernels/rotary.h"
#include "kernels/softmax_attention.h"
#include "kernels/softmax_top_k.h"
#include "kernels/stick_breaking_attention.h"
#include "tests/kernels/device/both_devices.h"
#include "tests/support/refusal.h"

namespace mformer::kernels {
namespace {

using namespace mformer::testing;
using ::testing::HasSubstr;

double tolerance(at::ScalarType dtype) {
  // Each side rounds factors and the result on its own.
  return dtype == at::kDouble ? kFloat64 : dtype == at::kFloat ? kFloat32 : 2 * kTwoBFloat16Roundings;
}

class Composites : public ::testing::TestWithParam<at::ScalarType> {
 protected:
  Composites() { at::manual_seed(7); }
};

TEST_P(Composites, StickBreakingAttentionEqualsTheCpus) {
  for (const auto& [tokens, keys, k] : {std::tuple(1, 1, 1), {70, 70, 2}, {37, 90, 3}, {1, 60, 4}}) {
    for (const std::int64_t head_size : {5, 32}) {
      const Tensors in = {random_leaf({2, tokens, k, 2, head_size}, GetParam()),
                          random_leaf({2, keys, 2, head_size}, GetParam()),
                          random_leaf({2, keys, 2, head_size}, GetParam()), at::rand({2, keys}).gt(0.3)};
      expect_same_on_both(in, tolerance(GetParam()), [](const Tensors& x) {
        return Tensors{stick_breaking_attention(x[0], x[1], x[2]), stick_breaking_attention(x[0], x[1], x[2], x[3])};
      });
    }
  }
}

TEST_P(Composites, SoftmaxAttentionEqualsTheCpus) {
  for (const auto& [tokens, keys, k] : {std::tuple(1, 1, 1), {70, 70, 2}, {37, 90, 3}, {1, 60, 4}}) {
    for (const std::int64_t window : {0, 20}) {
      const Tensors in = {random_leaf({2, tokens, k, 2, 8}, GetParam()), random_leaf({2, keys, 2, 8}, GetParam()),
                          random_leaf({2, keys, 2, 8}, GetParam()), at::rand({2, keys}).gt(0.3)};
      // The weight of a single key is 1: its gradients are nothing but rounding.
      const double bound = keys == 1 ? 1 : tolerance(GetParam());
      expect_same_on_both(in, bound, [window](const Tensors& x) {
        return Tensors{softmax_attention(x[0], x[1], x[2], std::nullopt, 0.35, window),
                       softmax_attention(x[0], x[1], x[2], x[3], 0.35, window)};
      });
    }
  }
}

TEST_P(Composites, PassesOverRowsEqualTheCpus) {
  const Tensors in = {random_leaf({2, 9, 3, 40}, GetParam()), random_leaf({40}, GetParam()),
                      random_leaf({33, 40}, GetParam())};
  const RotaryTable table = rotary_table(
      {1.0, 0.5, 0.3, 0.1, 0.09, 0.08, 0.07, 0.06, 0.05, 0.04, 1.0, 0.5, 0.3, 0.1, 0.09, 0.08, 0.07, 0.06, 0.05, 0.04},
      1.25, 12);
  expect_same_on_both(in, tolerance(GetParam()), [&](const Tensors& x) {
    const at::Device device = x[0].device();
    Tensors out = {rotate(x[0], {table.cos.to(device), table.sin.to(device)}, 3), rms_norm(x[0], x[1], 1e-5)};
    for (const Activation activation :
         {Activation::gelu_tanh, Activation::gelu, Activation::relu, Activation::silu, Activation::tanh}) {
      out.push_back(gated_activation(x[2], activation));
    }
    return out;
  });
}

TEST_P(Composites, GroupedLinearEqualsTheCpusAndAFrozenWeightHasNoGradient) {
  Tensors in = {random_leaf({23, 9}, GetParam())};
  for (int m = 0; m < 5; ++m) in.push_back(random_leaf({9, 7}, GetParam()));
  in[2].set_requires_grad(false);
  expect_same_on_both(in, tolerance(GetParam()), [](const Tensors& x) {
    return Tensors{grouped_linear(x[0], {0, 4, 10, 10, 11, 23}, {x.begin() + 1, x.end()})};
  });
}

TEST_P(Composites, DispatchToAllEqualsTheCpus) {
  Tensors in = {random_leaf({11, 9}, GetParam())};
  for (int m = 0; m < 3; ++m) in.push_back(random_leaf({9, 7}, GetParam()));
  for (int m = 0; m < 3; ++m) in.push_back(random_leaf({7, 9}, GetParam()));
  expect_same_on_both(in, tolerance(GetParam()), [](const Tensors& x) {
    const ModuleDispatch all = dispatch_to_all(11, 3, x[0].device());
    const at::Tensor rows = grouped_linear(rows_from_tokens(x[0], all), all.offset, {x.begin() + 1, x.begin() + 4});
    return Tensors{rows,
                   slots_from_rows(rows, all),
                   rows_from_slots(slots_from_rows(rows, all), all),
                   grouped_linear_sum(rows, all.offset, {x.begin() + 4, x.end()}),
                   all.slot_of_row,
                   all.row_of_slot};
  });
}

TEST_P(Composites, LinearEqualsTheCpus) {
  const Tensors in = {random_leaf({3, 11, 9}, GetParam()), random_leaf({7, 9}, GetParam()),
                      random_leaf({7}, GetParam())};
  expect_same_on_both(in, tolerance(GetParam()), [](const Tensors& x) {
    return Tensors{kernels::linear(x[0], x[1], x[2]), kernels::linear(x[0], x[1])};
  });
}

TEST_P(Composites, MovingAndCombiningRowsEqualsTheCpus) {
  for (const std::int64_t k : {1, 2, 4}) {
    const at::Tensor chosen = std::get<1>(at::rand({21, 6}).topk(k, 1));
    const Tensors in = {random_leaf({21, 8}, GetParam()), random_leaf({21, k, 8}, GetParam()),
                        random_leaf({21, k}, GetParam()), chosen};
    expect_same_on_both(in, tolerance(GetParam()), [](const Tensors& x) {
      const ModuleDispatch dispatch = plan_dispatch(x[3], 6);
      const at::Tensor rows = rows_from_tokens(x[0], dispatch);
      return Tensors{rows,
                     rows_from_slots(x[1], dispatch),
                     slots_from_rows(rows.tanh(), dispatch),
                     combine(rows.sin(), x[2], dispatch),
                     dispatch.slot_of_row,
                     dispatch.row_of_slot,
                     at::tensor(dispatch.offset.on_host())};
    });
  }
}

INSTANTIATE_TEST_SUITE_P(Dtypes, Composites, ::testing::Values(at::kDouble, at::kFloat, at::kBFloat16));

TEST(CompositesOfBFloat16, MultiplyWithFloat32WeightsAsTheCpuDoes) {
  at::manual_seed(8);
  const Tensors in = {random_leaf({23, 9}, at::kBFloat16), random_leaf({9, 7}), random_leaf({9, 7}),
                      random_leaf({7, 9}), random_leaf({7})};
  expect_same_on_both(in, tolerance(at::kBFloat16), [](const Tensors& x) {
    return Tensors{grouped_linear(x[0], {0, 4, 23}, {x[1], x[2]}), kernels::linear(x[0], x[3], x[4])};
  });
}

TEST(Composites, OfCrossEntropyEqualTheCpus) {
  at::manual_seed(9);
  at::Tensor targets = at::randint(50, {300}, at::kLong);
  targets.narrow(0, 10, 100).fill_(kIgnoredTarget);
  for (const auto& [hidden, weight] :
       {std::pair(at::kFloat, at::kFloat), {at::kBFloat16, at::kFloat}, {at::kBFloat16, at::kBFloat16}}) {
    const Tensors in = {random_leaf({300, 16}, hidden), random_leaf({50, 16}, weight), targets};
    expect_same_on_both(in, tolerance(hidden), [](const Tensors& x) {
      return Tensors{linear_cross_entropy(x[0], x[1], x[2], 199) * 3, linear_cross_entropy_losses(x[0], x[1], x[2])};
    });
  }
}

TEST(Composites, OfCrossEntropyWithoutAnyTargetAreZeroWithoutGradients) {
  const Tensors in = leaves_on(make_believe_device(), {random_leaf({5, 4}), random_leaf({9, 4})});
  const at::Tensor loss =
      linear_cross_entropy(in[0], in[1], at::full({5}, kIgnoredTarget, at::kLong).to(make_believe_device()), 1);
  loss.backward();
  EXPECT_EQ(loss.item<float>(), 0);
  EXPECT_EQ(in[0].grad().abs().sum().item<float>(), 0);
}

TEST(Composites, OfTheRouterTakeTheFirstOfEquals) {
  at::manual_seed(10);
  at::Tensor logits = at::randn({40, 7});
  logits.select(1, 5).copy_(logits.select(1, 2));
  logits.narrow(0, 0, 5).narrow(1, 1, 4).fill_(-std::numeric_limits<double>::infinity());
  for (const at::ScalarType dtype : {at::kFloat, at::kDouble}) {
    for (const std::int64_t k : {1, 3, 7}) {
      const Tensors in = {logits.to(dtype).set_requires_grad(true)};
      expect_same_on_both(in, kFloat32, [k](const Tensors& x) {
        Tensors out;
        for (const ChoiceForm form : {ChoiceForm{}, ChoiceForm{true, false}, ChoiceForm{false, true}}) {
          const auto [p, gates, modules] = softmax_top_k(x[0], k, form);
          out.insert(out.end(), {p, gates, modules});
        }
        return out;
      });
    }
  }
}

TEST(Composites, OfAttentionAreTheSameInPiecesOfAnySize) {
  at::manual_seed(11);
  const at::Tensor q = at::randn({2, 23, 2, 2, 4}), k = at::randn({2, 40, 2, 4}), v = at::randn({2, 40, 2, 4});
  const at::Tensor mask = at::rand({2, 40}).gt(0.3), grad = at::randn(q.sizes());
  const auto [dq, dk, dv] = device::composite::stick_breaking_backward(grad, q, k, v, mask);
  for (const std::int64_t scores : {1, 1000, 2000}) {
    EXPECT_LE(relative_error(device::composite::stick_breaking_forward(q, k, v, mask, scores),
                             device::composite::stick_breaking_forward(q, k, v, mask)),
              kFloat32);
    const auto [dq2, dk2, dv2] = device::composite::stick_breaking_backward(grad, q, k, v, mask, scores);
    EXPECT_LE(relative_error(dq2, dq), kFloat32);
    EXPECT_LE(relative_error(dk2, dk), kFloat32);
    EXPECT_LE(relative_error(dv2, dv), kFloat32);
  }
}

TEST(Composites, OfSoftmaxAttentionAreTheSameInPiecesOfAnySize) {
  at::manual_seed(14);
  const at::Tensor q = at::randn({2, 23, 2, 2, 4}), k = at::randn({2, 40, 2, 4}), v = at::randn({2, 40, 2, 4});
  const at::Tensor mask = at::rand({2, 40}).gt(0.3), grad = at::randn(q.sizes());
  for (const std::int64_t window : {0, 9}) {
    const at::Tensor y = device::composite::softmax_attention(q, k, v, mask, 0.5, window);
    const auto [dq, dk, dv] = device::composite::softmax_attention_backward(grad, q, k, v, mask, 0.5, window);
    for (const std::int64_t scores : {1, 1000, 2000}) {
      EXPECT_LE(relative_error(device::composite::softmax_attention(q, k, v, mask, 0.5, window, scores), y), kFloat32);
      const auto [dq2, dk2, dv2] =
          device::composite::softmax_attention_backward(grad, q, k, v, mask, 0.5, window, scores);
      EXPECT_LE(relative_error(dq2, dq), kFloat32);
      EXPECT_LE(relative_error(dk2, dk), kFloat32);
      EXPECT_LE(relative_error(dv2, dv), kFloat32);
    }
  }
}

TEST(Composites, OfAttentionNeedMemoryLinearInTheContext) {
  const auto peak = [](std::int64_t tokens) {
    const Tensors in =
        leaves_on(make_believe_device(),
                  {random_leaf({1, tokens, 1, 1, 2}), random_leaf({1, tokens, 1, 2}), random_leaf({1, tokens, 1, 2})});
    reset_make_believe_peak();
    const std::int64_t before = make_believe_bytes();
    const auto forward =
        device::composite::stick_breaking_forward(in[0].detach(), in[1].detach(), in[2].detach(), {}, 1 << 14);
    device::composite::stick_breaking_backward(forward, in[0].detach(), in[1].detach(), in[2].detach(), {}, 1 << 14);
    return make_believe_peak() - before;
  };
  peak(64);
  // Keys and queries double, scores per piece do not.
  EXPECT_LE(peak(1024), 2 * peak(512));
}

TEST(Composites, OfAttentionStayFiniteForExtremeScores) {
  for (const double score : {-200.0, 200.0}) {
    const at::Tensor q = at::full({1, 50, 1, 1, 1}, score), k = at::ones({1, 50, 1, 1}), v = at::randn({1, 50, 1, 1});
    EXPECT_TRUE(device::composite::stick_breaking_forward(q, k, v, {}).isfinite().all().item<bool>());
    const auto [dq, dk, dv] = device::composite::stick_breaking_backward(at::ones_like(q), q, k, v, {});
    EXPECT_TRUE((dq.sum() + dk.sum() + dv.sum()).isfinite().item<bool>());
  }
}

AdamWTensor on(const at::Device& device, const AdamWTensor& x) {
  const auto copy = [&](const at::Tensor& t) {
    return t.defined() ? t.detach().to(device, t.scalar_type(), false, true) : t;
  };
  return {copy(x.weight), copy(x.gradient), copy(x.exp_avg), copy(x.exp_avg_sq), x.decay};
}

TEST(Composites, OfAdamWEqualTheCpusAndTellThatTheWeightChanged) {
  at::manual_seed(12);
  const auto random = [](at::ScalarType dtype) { return at::randn({5, 7}).to(dtype); };
  const AdamWTensor plain{random(at::kFloat), random(at::kFloat), random(at::kFloat), at::rand({5, 7}), true};
  const AdamWTensor still{random(at::kFloat), {}, random(at::kFloat), at::rand({5, 7}), false};
  const AdamWTensor half{random(at::kBFloat16), random(at::kBFloat16), random(at::kFloat), at::rand({5, 7}), true};
  const AdamWTensor wide{random(at::kDouble), random(at::kDouble), random(at::kDouble), at::rand({5, 7}, at::kDouble),
                         true};
  const AdamWStep step{3, 0.01, 0.9, 0.99, 1e-8, 0.1, 0.5};
  std::vector<AdamWTensor> cpu, device;
  for (const AdamWTensor& x : {plain, still, half, wide}) {
    cpu.push_back(on(at::kCPU, x));
    device.push_back(on(make_believe_device(), x));
    device.back().weight.set_requires_grad(true);
  }
  const auto version = device[0].weight._version();
  adamw_step(cpu, step);
  adamw_step(device, step);
  EXPECT_GT(device[0].weight._version(), version);
  for (std::size_t i = 0; i < cpu.size(); ++i) {
    // Half a unit of bfloat16's last place may fall either way.
    EXPECT_LE(relative_error(device[i].weight.cpu(), cpu[i].weight), i == 2 ? kOneBFloat16Rounding : 1e-6) << i;
    EXPECT_LE(relative_error(device[i].exp_avg.cpu(), cpu[i].exp_avg), 1e-6) << i;
    EXPECT_LE(relative_error(device[i].exp_avg_sq.cpu(), cpu[i].exp_avg_sq), 1e-6) << i;
    if (!device[i].gradient.defined()) continue;
    EXPECT_TRUE(device[i].gradient.cpu().equal(cpu[i].gradient)) << i;
  }
}

TEST(Composites, OfTheNormSumInFloat64) {
  at::manual_seed(13);
  const Tensors cpu = {at::randn({3000}), at::Tensor(), at::randn({7, 9}).to(at::kBFloat16), at::full({4}, 1e30)};
  Tensors device;
  for (const at::Tensor& x : cpu) device.push_back(x.defined() ? x.to(make_believe_device()) : x);
  EXPECT_NEAR(gradient_norm(device) / gradient_norm(cpu), 1, 1e-14);
  EXPECT_EQ(gradient_norm({at::Tensor()}), 0);
}

TEST(Composites, NameTheArgumentThatIsOnAnotherDevice) {
  const auto away = [](const at::Tensor& x) { return x.to(make_believe_device()); };
  const at::Tensor q = at::zeros({1, 2, 1, 1, 4}), k = at::zeros({1, 2, 1, 4});
  EXPECT_THAT(refusal([&] { stick_breaking_attention(away(q), away(k), k); }), HasSubstr("value on cpu"));
  EXPECT_THAT(refusal([&] { softmax_attention(away(q), away(k), k, std::nullopt, 1); }), HasSubstr("value on cpu"));
  EXPECT_THAT(refusal([&] { rms_norm(away(q), at::ones({4}), 1e-5); }), HasSubstr("weight on cpu"));
  EXPECT_THAT(refusal([&] { rotate(away(q), rotary_table({1, 1}, 1, 5), 0); }), HasSubstr("table on cpu"));
  EXPECT_THAT(refusal([&] {
                grouped_linear(away(at::zeros({2, 3})), {0, 2}, {at::zeros({3, 4})});
              }),
              HasSubstr("weights[0] is on cpu"));
  EXPECT_THAT(refusal([&] {
                linear_cross_entropy(away(at::zeros({2, 3})), away(at::zeros({4, 3})), at::zeros({2}, at::kLong), 1);
              }),
              HasSubstr("targets on cpu"));
  const ModuleDispatch dispatch = plan_dispatch(away(at::zeros({2, 1}, at::kLong)), 2);
  EXPECT_THAT(refusal([&] { rows_from_tokens(at::zeros({2, 3}), dispatch); }), HasSubstr("x must be"));
  EXPECT_THAT(refusal([&] {
                plan_dispatch(away(at::full({2, 1}, 2, at::kLong)), 2).offset.on_host();
              }),
              HasSubstr("outside of 0 to 1"));
  EXPECT_THAT(refusal([&] { gradient_norm({at::zeros({2}), away(at::zeros({2}))}); }), HasSubstr("must be on cpu"));
}

}  // namespace
}  // namespace mformer::kernels
