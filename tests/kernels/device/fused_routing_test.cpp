// Our GPU kernels of router and dispatch, in loops on the host and on a GPU, against the CPU's kernels and the
// composites.

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <limits>

#include "kernels/cpu/module_dispatch.h"
#include "kernels/device/fused.h"
#include "kernels/device/module_dispatch.h"
#include "kernels/device/softmax_top_k.h"
#include "kernels/module_dispatch.h"
#include "kernels/softmax_top_k.h"
#include "tests/kernels/device/gpu.h"
#include "tests/support/refusal.h"
#include "tests/support/tolerance.h"

namespace mformer::kernels::device {
namespace {

using mformer::testing::OnHostAndGpu;
using mformer::testing::relative_error;

class FusedRouter : public OnHostAndGpu {};
class FusedDispatch : public OnHostAndGpu {};

/// With equal logits, rows of them, and masked ones.
at::Tensor random_logits(std::int64_t tokens, std::int64_t modules) {
  at::manual_seed(tokens + modules);
  at::Tensor logits = at::randn({tokens, modules});
  if (modules > 5) logits.select(1, 5).copy_(logits.select(1, 2));
  if (modules > 5) logits.narrow(0, 0, tokens / 2).narrow(1, 3, 2).fill_(-std::numeric_limits<double>::infinity());
  logits.select(0, tokens - 1).fill_(0.5);
  return logits;
}

constexpr ChoiceForm kForms[] = {{}, {true, false}, {false, true}};

TEST_P(FusedRouter, ChoosesAsTheCpuDoes) {
  for (const std::int64_t tokens : {1, 31, 32, 33, 200}) {
    for (const std::int64_t modules : {1, 7, 48, 256}) {
      for (const std::int64_t k : {1, 2, 4, 7}) {
        if (k > modules) continue;
        const at::Tensor logits = random_logits(tokens, modules);
        for (const ChoiceForm form : kForms) {
          const auto [p, gates, chosen] = kernels::softmax_top_k(logits, k, form);
          const auto [p2, gates2, chosen2] = fused::softmax_top_k(there(logits), k, form);
          EXPECT_LE(relative_error(p2.cpu(), p), testing::kFloat32);
          EXPECT_LE(relative_error(gates2.cpu(), gates), testing::kFloat32);
          EXPECT_TRUE(chosen2.cpu().equal(chosen)) << tokens << " tokens, " << modules << " modules, k " << k;
        }
      }
    }
  }
}

TEST_P(FusedRouter, NamesAModuleEvenWhereLogitsAreNoNumbers) {
  const at::Tensor logits = at::full({3, 5}, std::numeric_limits<double>::quiet_NaN());
  const at::Tensor chosen = std::get<2>(fused::softmax_top_k(there(logits), 3, {})).cpu();
  EXPECT_TRUE(chosen.ge(0).logical_and(chosen.lt(5)).all().item<bool>());
}

TEST_P(FusedRouter, HasTheGradientOfTheComposite) {
  for (const std::int64_t tokens : {1, 32, 70}) {
    for (const ChoiceForm form : kForms) {
      const auto [p, gates, chosen] = kernels::softmax_top_k(random_logits(tokens, 48), 3, form);
      const at::Tensor dp = at::randn(p.sizes()), dgates = at::randn(gates.sizes());
      const at::Tensor unit_gates = form.sums_to_one() ? gates : at::Tensor();
      for (const auto& [of_p, of_gates] :
           {std::pair(dp, dgates), {dp, at::Tensor()}, {at::Tensor(), dgates}, {at::Tensor(), at::Tensor()}}) {
        const at::Tensor grad =
            fused::softmax_top_k_backward(there(p), there(chosen), there(unit_gates), there(of_p), there(of_gates))
                .cpu();
        EXPECT_LE(relative_error(grad, composite::softmax_top_k_backward(p, chosen, unit_gates, of_p, of_gates)),
                  testing::kFloat32);
      }
    }
  }
}

at::Tensor random_choice(std::int64_t tokens, std::int64_t k, std::int64_t modules) {
  at::manual_seed(tokens * 7 + k);
  return std::get<1>(at::rand({tokens, modules}).topk(k, 1));
}

TEST_P(FusedDispatch, PlansAsTheCpuDoes) {
  for (const std::int64_t tokens : {0, 1, 255, 256, 257, 700}) {
    for (const std::int64_t modules : {4, 48, 256}) {
      for (const std::int64_t k : {1, 2, 4}) {
        const at::Tensor chosen = random_choice(tokens, k, modules);
        const ModuleDispatch expected = kernels::plan_dispatch(chosen, modules);
        const ModuleDispatch plan = fused::plan_dispatch(there(chosen), modules);
        EXPECT_EQ(plan.k, k);
        EXPECT_EQ(plan.offset.on_host(), expected.offset.on_host());
        EXPECT_TRUE(plan.slot_of_row.cpu().equal(expected.slot_of_row)) << tokens << " tokens, " << modules;
        EXPECT_TRUE(plan.row_of_slot.cpu().equal(expected.row_of_slot)) << tokens << " tokens, " << modules;
      }
    }
  }
}

TEST_P(FusedDispatch, RefusesWhatIsNoModule) {
  for (const std::int64_t module : {-1L, 3L, (1L << 32) + 1}) {
    EXPECT_NE(testing::refusal([&] {
                fused::plan_dispatch(there(at::full({2, 1}, module, at::kLong)), 3);
              }),
              "nothing was refused");
  }
}

TEST_P(FusedDispatch, MovesRowsBitForBit) {
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16, at::kDouble}) {
    for (const std::int64_t width : {1, 7, 8, 300}) {
      for (const std::int64_t k : {1, 3}) {
        const ModuleDispatch dispatch = kernels::plan_dispatch(random_choice(21, k, 6), 6);
        const at::Tensor x = at::randn({21, width}).to(dtype);
        EXPECT_TRUE(fused::gather_tokens(there(x), there(dispatch.slot_of_row), k)
                        .cpu()
                        .equal(cpu::gather_tokens(x, dispatch.slot_of_row, k)));
      }
    }
  }
}

TEST_P(FusedDispatch, CombinesAsTheCpuDoes) {
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    const double tolerance = dtype == at::kFloat ? testing::kFloat32 : testing::kOneBFloat16Rounding;
    for (const std::int64_t width : {1, 8, 255, 256, 257, 700}) {
      for (const std::int64_t k : {1, 2, 4}) {
        const at::Tensor row_of_slot = kernels::plan_dispatch(random_choice(21, k, 6), 6).row_of_slot;
        const at::Tensor rows = at::randn({21 * k, width}).to(dtype), gates = at::randn({21, k}).to(dtype);
        const at::Tensor grad = at::randn({21, width}).to(dtype);
        for (const at::Tensor& factors : {gates, at::Tensor()}) {
          const at::Tensor y = fused::sum_slots(there(rows), there(row_of_slot), k, there(factors)).cpu();
          EXPECT_LE(relative_error(y, cpu::sum_slots(rows, row_of_slot, k, factors)), tolerance) << width;
        }
        const auto [dr, dg] = fused::sum_slots_backward(there(grad), there(rows), there(row_of_slot), k, there(gates));
        const auto [right_dr, right_dg] = cpu::sum_slots_backward(grad, rows, row_of_slot, k, gates);
        EXPECT_LE(relative_error(dr.cpu(), right_dr), tolerance) << width;
        EXPECT_LE(relative_error(dg.cpu(), right_dg), tolerance) << width;
      }
    }
  }
}

MFORMER_ON_HOST_AND_GPU(FusedRouter);
MFORMER_ON_HOST_AND_GPU(FusedDispatch);

}  // namespace
}  // namespace mformer::kernels::device
