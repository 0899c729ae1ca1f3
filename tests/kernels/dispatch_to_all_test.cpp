// Where every token goes to every module: what copies and planned dispatches give, without them.

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernels/grouped_linear.h"
#include "kernels/module_dispatch.h"
#include "kernels/packed_linear.h"
#include "tests/support/finite_difference.h"
#include "tests/support/refusal.h"
#include "tests/support/threads.h"
#include "tests/support/tolerance.h"

namespace mformer::kernels {
namespace {

using mformer::testing::refusal;
using mformer::testing::relative_error;
using ::testing::HasSubstr;
using Matrices = std::vector<at::Tensor>;

/// What dispatch_to_all stands for: a plan in which every token chose all modules in order.
ModuleDispatch planned(std::int64_t tokens, std::int64_t modules) {
  return plan_dispatch(at::arange(modules, at::kLong).expand({tokens, modules}), modules);
}

Matrices leaves(std::int64_t modules, std::int64_t in, std::int64_t out, at::ScalarType dtype) {
  Matrices weights;
  for (std::int64_t m = 0; m < modules; ++m) {
    weights.push_back((at::randn({in, out}, at::kDouble) / 4).to(dtype).set_requires_grad(true));
  }
  return weights;
}

TEST(DispatchToAll, IsThePlanOfTokensThatChoseAllModules) {
  for (const auto& [tokens, modules] : {std::pair(5, 3), {1, 4}, {4, 1}, {0, 2}}) {
    const ModuleDispatch all = dispatch_to_all(tokens, modules, at::kCPU), plan = planned(tokens, modules);
    EXPECT_TRUE(all.to_all);
    EXPECT_FALSE(plan.to_all);
    EXPECT_EQ(all.k, plan.k);
    EXPECT_EQ(all.offset.on_host(), plan.offset.on_host());
    EXPECT_TRUE(all.slot_of_row.equal(plan.slot_of_row));
    EXPECT_TRUE(all.row_of_slot.equal(plan.row_of_slot));
  }
  EXPECT_THAT(refusal([&] { dispatch_to_all(-1, 2, at::kCPU); }), HasSubstr("tokens must be"));
  EXPECT_THAT(refusal([&] { dispatch_to_all(2, 0, at::kCPU); }), HasSubstr("modules must be"));
}

TEST(DispatchToAll, CopiesNeitherTokensNorSlots) {
  at::manual_seed(1);
  const ModuleDispatch all = dispatch_to_all(5, 3, at::kCPU), plan = planned(5, 3);
  const at::Tensor x = at::randn({5, 4}), rows = at::randn({15, 4}), slots = at::randn({5, 3, 4});
  EXPECT_EQ(rows_from_tokens(x, all).data_ptr(), x.data_ptr());
  EXPECT_EQ(slots_from_rows(rows, all).data_ptr(), rows.data_ptr());
  EXPECT_TRUE(slots_from_rows(rows, all).equal(slots_from_rows(rows, plan)));
  EXPECT_TRUE(rows_from_slots(slots, all).equal(rows_from_slots(slots, plan)));
  const at::Tensor gates = at::rand({5, 3});
  EXPECT_TRUE(combine(rows, gates, all).equal(combine(rows, gates, plan)));
}

/// A feed-forward part of modules whose outputs are added up, and its gradients, in the way of `all` or of the copies.
struct FeedForward {
  at::Tensor x;
  Matrices in, out;

  at::Tensor forward(const ModuleDispatch& dispatch, const c10::intrusive_ptr<FrozenPanels>& frozen = {}) const {
    const at::Tensor hidden = grouped_linear(rows_from_tokens(x, dispatch), dispatch.offset, in, frozen).tanh();
    if (dispatch.to_all) return grouped_linear_sum(hidden, dispatch.offset, out, frozen);
    const at::Tensor gates = at::ones({x.size(0), dispatch.k}, x.scalar_type());
    return combine(grouped_linear(hidden, dispatch.offset, out), gates, dispatch);
  }

  Matrices gradients(const ModuleDispatch& dispatch, const at::Tensor& grad) const {
    Matrices all = {x};
    all.insert(all.end(), in.begin(), in.end());
    all.insert(all.end(), out.begin(), out.end());
    for (const at::Tensor& leaf : all) leaf.mutable_grad().reset();
    forward(dispatch).backward(grad);
    for (at::Tensor& leaf : all) leaf = leaf.grad();
    return all;
  }
};

FeedForward random_feed_forward(std::int64_t tokens, std::int64_t modules, std::int64_t width, std::int64_t hidden,
                                at::ScalarType dtype) {
  at::manual_seed(2);
  return {at::randn({tokens, width}, at::kDouble).to(dtype).set_requires_grad(true),
          leaves(modules, width, hidden, dtype), leaves(modules, hidden, width, dtype)};
}

TEST(DispatchToAll, ComputesWhatTheCopiesComputeWithAllGradients) {
  for (const at::ScalarType dtype : {at::kDouble, at::kFloat, at::kBFloat16}) {
    // Around panels of 64 columns, blocks of 512 rows, and odd sizes.
    for (const auto& [tokens, modules, width, hidden] :
         {std::tuple(1, 3, 64, 32), {7, 1, 9, 5}, {33, 4, 70, 64}, {600, 3, 24, 65}}) {
      const FeedForward part = random_feed_forward(tokens, modules, width, hidden, dtype);
      const ModuleDispatch all = dispatch_to_all(tokens, modules, at::kCPU), plan = planned(tokens, modules);
      const at::Tensor grad = at::randn({tokens, width}, at::kDouble).to(dtype);
      // In bfloat16 each module's output is rounded before it is summed in one of the ways.
      const double tolerance = dtype == at::kDouble  ? testing::kFloat64
                               : dtype == at::kFloat ? testing::kFloat32
                                                     : 2 * testing::kTwoBFloat16Roundings;
      EXPECT_LE(relative_error(part.forward(all), part.forward(plan)), tolerance) << dtype << tokens;
      const Matrices ours = part.gradients(all, grad), copied = part.gradients(plan, grad);
      for (std::size_t i = 0; i < ours.size(); ++i) {
        EXPECT_LE(relative_error(ours[i], copied[i]), tolerance) << dtype << tokens << ' ' << i;
      }
    }
  }
}

TEST(DispatchToAll, GradientsMatchFiniteDifferences) {
  const FeedForward part = random_feed_forward(3, 2, 4, 5, at::kDouble);
  Matrices inputs = {part.x};
  inputs.insert(inputs.end(), part.in.begin(), part.in.end());
  inputs.insert(inputs.end(), part.out.begin(), part.out.end());
  testing::expect_gradients_match_finite_differences([&] { return part.forward(dispatch_to_all(3, 2, at::kCPU)); },
                                                     inputs);
}

TEST(DispatchToAll, SumsOfBFloat16AreRoundedOnce) {
  const FeedForward part = random_feed_forward(40, 16, 32, 64, at::kBFloat16);
  const ModuleDispatch all = dispatch_to_all(40, 16, at::kCPU);
  const at::Tensor rows = at::randn({640, 64}).to(at::kBFloat16);
  at::Tensor expected = at::zeros({40, 32}, at::kDouble);
  for (std::int64_t m = 0; m < 16; ++m) {
    expected += rows.narrow(0, 40 * m, 40).to(at::kDouble).mm(part.out[static_cast<std::size_t>(m)].to(at::kDouble));
  }
  EXPECT_LE(relative_error(grouped_linear_sum(rows, all.offset, part.out), expected), testing::kOneBFloat16Rounding);
}

TEST(DispatchToAll, GivesTheSameBitsFrozenAndWithEveryNumberOfThreads) {
  FeedForward part = random_feed_forward(100, 5, 70, 96, at::kFloat);
  const ModuleDispatch all = dispatch_to_all(100, 5, at::kCPU);
  const at::Tensor grad = at::randn({100, 70});
  const auto run = [&](int threads) {
    const testing::ThreadCount count(threads);
    return part.gradients(all, grad);
  };
  const Matrices one = run(1);
  for (const int threads : {2, 3}) {
    const Matrices more = run(threads);
    for (std::size_t i = 0; i < one.size(); ++i) EXPECT_TRUE(one[i].equal(more[i])) << threads << ' ' << i;
  }
  const at::Tensor y = part.forward(all).detach();
  for (const at::Tensor& weight : part.in) weight.set_requires_grad(false);
  for (const at::Tensor& weight : part.out) weight.set_requires_grad(false);
  const auto frozen = c10::make_intrusive<FrozenPanels>();
  EXPECT_TRUE(part.forward(all, frozen).equal(y));
  part.x.mutable_grad().reset();
  part.forward(all, frozen).backward(grad);
  EXPECT_TRUE(part.x.grad().equal(one[0]));
}

class PackedDispatchToAll : public ::testing::TestWithParam<at::ScalarType> {};

TEST_P(PackedDispatchToAll, ComputesWhatTheCopiesCompute) {
  const at::NoGradGuard no_grad;
  at::manual_seed(3);
  for (const std::int64_t tokens : {1, 6, 7, 530}) {
    constexpr std::int64_t kModules = 3, kIn = 70, kOut = 130;
    std::vector<PackedWeight> in, out;
    for (std::int64_t m = 0; m < kModules; ++m) {
      const auto pack = [](const at::Tensor& weight) {
        if (GetParam() != at::kChar) return pack_weight(weight, GetParam());
        const auto [codes, scale] = quantize_int8(weight);
        return pack_int8(codes, scale);
      };
      in.push_back(pack(at::randn({kIn, kOut})));
      out.push_back(pack(at::randn({kOut, kIn})));
    }
    const at::Tensor x = at::randn({tokens, kIn}).to(GetParam() == at::kBFloat16 ? at::kBFloat16 : at::kFloat);
    const ModuleDispatch all = dispatch_to_all(tokens, kModules, at::kCPU), plan = planned(tokens, kModules);
    const at::Tensor rows = packed_grouped_linear(rows_from_tokens(x, plan), plan.offset.on_host(), in);
    EXPECT_TRUE(packed_grouped_linear(rows_from_tokens(x, all), all.offset.on_host(), in).equal(rows)) << tokens;
    const at::Tensor each = slots_from_rows(packed_grouped_linear(rows, plan.offset.on_host(), out), plan);
    const at::Tensor expected = each.to(at::kDouble).sum(1);
    const at::Tensor sums = packed_grouped_linear_sum(rows, all.offset.on_host(), out, /*float32=*/true);
    EXPECT_EQ(sums.scalar_type(), at::kFloat);
    EXPECT_LE(relative_error(sums, expected), GetParam() == at::kBFloat16 ? testing::kTwoBFloat16Roundings : 1e-6);
    EXPECT_TRUE(packed_grouped_linear_sum(rows, all.offset.on_host(), out).equal(sums.to(x.scalar_type()))) << tokens;
  }
}

INSTANTIATE_TEST_SUITE_P(DTypes, PackedDispatchToAll, ::testing::Values(at::kFloat, at::kBFloat16, at::kChar),
                         [](const auto& instance) { return c10::toString(instance.param); });

TEST(DispatchToAll, RefusesRowsThatAreNotEvenlyShared) {
  const Matrices weights = {at::zeros({3, 4}), at::zeros({3, 4})};
  std::vector<PackedWeight> packed = {pack_weight(weights[0], at::kFloat), pack_weight(weights[1], at::kFloat)};
  const at::Tensor x = at::zeros({4, 3});
  EXPECT_THAT(refusal([&] { grouped_linear_sum(x, {0, 1, 4}, weights); }), HasSubstr("every module the same number"));
  EXPECT_THAT(refusal([&] { grouped_linear(x, {0, 3, 8}, weights); }), HasSubstr("offset must run from 0 to 4"));
  EXPECT_THAT(refusal([&] { packed_grouped_linear_sum(x, {0, 1, 4}, packed); }), HasSubstr("every module the same"));
  EXPECT_THAT(refusal([&] { packed_grouped_linear(x, {0, 3, 8}, packed); }), HasSubstr("offset must run from 0 to 4"));
  EXPECT_EQ(grouped_linear_sum(at::zeros({0, 3}), {0, 0, 0}, weights).sizes(), at::IntArrayRef({0, 4}));
  EXPECT_EQ(packed_grouped_linear_sum(at::zeros({0, 3}), {0, 0, 0}, packed).sizes(), at::IntArrayRef({0, 4}));
}

}  // namespace
}  // namespace mformer::kernels
