// The order of rows: a stable permutation of slots, and its gradients.

#include "kernels/module_dispatch.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/support/finite_difference.h"
#include "tests/support/tolerance.h"

namespace mformer::kernels {
namespace {

using mformer::testing::relative_error;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::int64_t> numbers(const at::Tensor& x) {
  const at::Tensor flat = x.contiguous();
  return {flat.const_data_ptr<std::int64_t>(), flat.const_data_ptr<std::int64_t>() + flat.numel()};
}

at::Tensor random_choice(std::int64_t tokens, std::int64_t k, std::int64_t modules) {
  return std::get<1>(at::rand({tokens, modules}).topk(k, 1));
}

TEST(ModuleDispatch, CountsTheRowsOfEachModule) {
  const at::Tensor chosen = at::tensor({2, 0, 0, 3, 2, 3}, at::kLong).view({3, 2});
  const ModuleDispatch dispatch = plan_dispatch(chosen, 5);
  EXPECT_EQ(dispatch.k, 2);
  EXPECT_THAT(dispatch.offset.on_host(), ElementsAre(0, 2, 2, 4, 6, 6));
  EXPECT_THAT(numbers(dispatch.slot_of_row), ElementsAre(1, 2, 0, 4, 3, 5));
  EXPECT_THAT(numbers(dispatch.row_of_slot), ElementsAre(2, 0, 1, 4, 3, 5));
}

TEST(ModuleDispatch, IsAPermutationSortedByModuleThenBySlot) {
  at::manual_seed(1);
  for (const std::int64_t k : {1, 2, 3}) {
    const at::Tensor chosen = random_choice(57, k, 7);
    const ModuleDispatch dispatch = plan_dispatch(chosen, 7);
    const auto module = numbers(chosen), slots = numbers(dispatch.slot_of_row), rows = numbers(dispatch.row_of_slot);
    for (std::size_t row = 0; row < slots.size(); ++row) {
      EXPECT_EQ(rows[slots[row]], static_cast<std::int64_t>(row));
      const std::int64_t m = module[slots[row]];
      EXPECT_TRUE(dispatch.offset.on_host()[m] <= static_cast<std::int64_t>(row) &&
                  static_cast<std::int64_t>(row) < dispatch.offset.on_host()[m + 1]);
      const bool follows = row > 0 && module[slots[row - 1]] == m;
      EXPECT_TRUE(!follows || slots[row - 1] < slots[row]) << "stable";
    }
  }
}

TEST(ModuleDispatch, TakesNoTokensAndAllTokensInOneModule) {
  EXPECT_THAT(plan_dispatch(at::empty({0, 2}, at::kLong), 3).offset.on_host(), ElementsAre(0, 0, 0, 0));
  const ModuleDispatch one = plan_dispatch(at::full({4, 1}, 1, at::kLong), 3);
  EXPECT_THAT(one.offset.on_host(), ElementsAre(0, 0, 4, 4));
  EXPECT_THAT(numbers(one.slot_of_row), ElementsAre(0, 1, 2, 3));
}

TEST(ModuleDispatch, TakesChoicesThatAreNotContiguous) {
  at::manual_seed(2);
  const at::Tensor chosen = random_choice(9, 2, 4);
  const ModuleDispatch a = plan_dispatch(chosen, 4), b = plan_dispatch(chosen.t().contiguous().t(), 4);
  EXPECT_EQ(a.offset.on_host(), b.offset.on_host());
  EXPECT_TRUE(a.slot_of_row.equal(b.slot_of_row));
}

template <typename Call>
std::string refusal_of(const Call& call) {
  try {
    call();
  } catch (const c10::Error& e) {
    return e.what_without_backtrace();
  }
  return "nothing was refused";
}

TEST(ModuleDispatch, RefusesModulesThatDoNotExist) {
  const auto refusal = [](const at::Tensor& chosen) { return refusal_of([&] { plan_dispatch(chosen, 3); }); };
  EXPECT_THAT(refusal(at::tensor({0, 3}, at::kLong).view({1, 2})), HasSubstr("module 3"));
  EXPECT_THAT(refusal(at::tensor({0, -1}, at::kLong).view({1, 2})), HasSubstr("module -1"));
  EXPECT_THAT(refusal(at::zeros({2, 2})), HasSubstr("chosen must be"));
  EXPECT_THAT(refusal(at::zeros({2}, at::kLong)), HasSubstr("chosen must be"));
  EXPECT_THAT(refusal(at::zeros({2, 0}, at::kLong)), HasSubstr("k > 0"));
}

class DispatchedRows : public ::testing::Test {
 protected:
  DispatchedRows() { at::manual_seed(3); }
  at::Tensor leaf(at::IntArrayRef sizes) const { return at::randn(sizes, at::kDouble).set_requires_grad(true); }

  static constexpr std::int64_t kTokens = 6, kChoices = 2, kModules = 4, kWidth = 3;
  ModuleDispatch dispatch_ = plan_dispatch(std::get<1>(at::rand({kTokens, kModules}).topk(kChoices, 1)), kModules);
};

TEST_F(DispatchedRows, CopyEachTokenToTheModulesThatItChose) {
  const at::Tensor x = leaf({kTokens, kWidth});
  const at::Tensor rows = rows_from_tokens(x, dispatch_);
  const auto slots = numbers(dispatch_.slot_of_row);
  for (std::size_t row = 0; row < slots.size(); ++row) {
    EXPECT_TRUE(rows[static_cast<std::int64_t>(row)].equal(x[slots[row] / kChoices]));
  }
  testing::expect_gradients_match_finite_differences([&] { return rows_from_tokens(x, dispatch_); }, {x});
}

TEST_F(DispatchedRows, GoToRowsAndBackUnchanged) {
  const at::Tensor x = leaf({kTokens, kChoices, kWidth});
  EXPECT_TRUE(slots_from_rows(rows_from_slots(x, dispatch_), dispatch_).equal(x));
  testing::expect_gradients_match_finite_differences([&] { return rows_from_slots(x, dispatch_).square(); }, {x});
  const at::Tensor rows = leaf({kTokens * kChoices, kWidth});
  testing::expect_gradients_match_finite_differences([&] { return slots_from_rows(rows, dispatch_).square(); }, {rows});
}

TEST_F(DispatchedRows, AreCombinedByTheirGates) {
  const at::Tensor rows = leaf({kTokens * kChoices, kWidth}), gates = leaf({kTokens, kChoices});
  const at::Tensor y = combine(rows, gates, dispatch_);
  const auto row_of_slot = numbers(dispatch_.row_of_slot);
  for (std::int64_t t = 0; t < kTokens; ++t) {
    at::Tensor expected = at::zeros({kWidth}, at::kDouble);
    for (std::int64_t c = 0; c < kChoices; ++c) {
      expected = expected + gates[t][c] * rows[row_of_slot[t * kChoices + c]];
    }
    EXPECT_LE(relative_error(y[t], expected), testing::kFloat64);
  }
  testing::expect_gradients_match_finite_differences([&] { return combine(rows, gates, dispatch_); }, {rows, gates});
}

TEST_F(DispatchedRows, RefuseSizesOfAnotherDispatch) {
  const auto refuses = [](const auto& call, const std::string& words) {
    EXPECT_THAT(refusal_of(call), HasSubstr(words));
  };
  const std::int64_t slots = kTokens * kChoices;
  const at::Tensor rows = leaf({slots, kWidth}), gates = leaf({kTokens, kChoices});
  for (const at::Tensor& x : {leaf({kTokens - 1, kWidth}), leaf({kTokens + 1, kWidth}), leaf({kTokens})}) {
    refuses([&] { rows_from_tokens(x, dispatch_); }, "x must be [6, -1]");
  }
  for (const at::Tensor& x : {leaf({kTokens, kChoices + 1, kWidth}), leaf({kTokens - 1, kChoices, kWidth}), rows}) {
    refuses([&] { rows_from_slots(x, dispatch_); }, "x must be [6, 2, -1]");
  }
  for (const at::Tensor& x : {leaf({slots - 1, kWidth}), leaf({slots + 1, kWidth}), leaf({slots})}) {
    refuses([&] { slots_from_rows(x, dispatch_); }, "rows must be [12, -1]");
    refuses([&] { combine(x, gates, dispatch_); }, "rows must be [12, -1]");
  }
  for (const at::Tensor& x : {leaf({kTokens, kChoices - 1}), leaf({kTokens + 1, kChoices}), leaf({slots})}) {
    refuses([&] { combine(rows, x, dispatch_); }, "gates must be [6, 2]");
  }
}

TEST_F(DispatchedRows, RefuseWhatIsNoFloatingPointTensor) {
  const at::Tensor whole = at::ones({kTokens * kChoices, kWidth}, at::kLong), gates = leaf({kTokens, kChoices});
  EXPECT_THAT(refusal_of([&] { combine(whole, gates, dispatch_); }), HasSubstr("rows must be a floating-point"));
  EXPECT_THAT(refusal_of([&] { combine(whole.to(at::kFloat), {}, dispatch_); }), HasSubstr("gates must be a floating"));
  EXPECT_THAT(refusal_of([&] { rows_from_tokens({}, dispatch_); }), HasSubstr("x must be a floating-point"));
}

TEST_F(DispatchedRows, MayBeNone) {
  const ModuleDispatch none = plan_dispatch(at::empty({0, 2}, at::kLong), kModules);
  EXPECT_EQ(rows_from_tokens(leaf({0, kWidth}), none).sizes(), at::IntArrayRef({0, kWidth}));
  const at::Tensor rows = rows_from_slots(leaf({0, 2, kWidth}), none);
  EXPECT_EQ(slots_from_rows(rows, none).sizes(), at::IntArrayRef({0, 2, kWidth}));
  EXPECT_EQ(combine(rows, leaf({0, 2}), none).sizes(), at::IntArrayRef({0, kWidth}));
}

}  // namespace
}  // namespace mformer::kernels
