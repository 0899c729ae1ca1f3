// Where the host waits for a device on the way through a bank of modules: nowhere, unless a product has to know which
// rows are whose.

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "kernels/grouped_linear.h"
#include "kernels/module_dispatch.h"
#include "kernels/softmax_top_k.h"
#include "kernels/stacked_weights.h"
#include "tests/kernels/device/both_devices.h"

namespace mformer::kernels {
namespace {

using namespace mformer::testing;

constexpr std::int64_t kTokens = 20, kWidth = 16, kHidden = 24;
constexpr std::size_t kModules = 6;

struct Bank {
  at::Tensor x, router;
  Tensors in{}, out{};
  c10::intrusive_ptr<FrozenPanels> frozen = c10::make_intrusive<FrozenPanels>();
};

/// A bank on the device whose first modules are frozen.
Bank bank_with(std::size_t frozen, at::ScalarType dtype) {
  at::manual_seed(8);
  const auto there = [](const at::Tensor& x) { return x.to(make_believe_device()).requires_grad_(); };
  Bank bank{there(at::randn({kTokens, kWidth}).to(dtype)), there(at::randn({kWidth, kModules}))};
  for (std::size_t m = 0; m < kModules; ++m) {
    bank.in.push_back(there(at::randn({kWidth, kHidden})).to(m < frozen ? dtype : at::kFloat).detach());
    bank.out.push_back(there(at::randn({kHidden, kWidth})).to(m < frozen ? dtype : at::kFloat).detach());
    bank.in[m].requires_grad_(m >= frozen), bank.out[m].requires_grad_(m >= frozen);
  }
  return bank;
}

/// The token's k modules, there and back, as a layer has them.
void run(const Bank& bank) {
  const auto [p, gates, modules] = softmax_top_k(at::mm(bank.x.to(at::kFloat), bank.router), 2);
  const ModuleDispatch dispatch = plan_dispatch(modules, kModules);
  const at::Tensor rows = rows_from_tokens(bank.x, dispatch);
  const at::Tensor hidden = grouped_linear(rows, dispatch.offset, bank.in, bank.frozen).tanh();
  combine(grouped_linear(hidden, dispatch.offset, bank.out, bank.frozen), gates, dispatch).sum().backward();
}

std::int64_t waits_of(const Bank& bank) {
  const std::int64_t before = make_believe_waits();
  run(bank);
  return make_believe_waits() - before;
}

TEST(WaitsForADevice, AreNoneWhereAllModulesTrainOrAllAreFrozen) {
  EXPECT_EQ(waits_of(bank_with(0, at::kBFloat16)), 0);
  const Bank frozen = bank_with(kModules, at::kBFloat16);
  EXPECT_EQ(waits_of(frozen), 0);
  EXPECT_EQ(waits_of(frozen), 0);
}

TEST(WaitsForADevice, AreOneForABankOfWhichAPartTrains) {
  EXPECT_EQ(waits_of(bank_with(2, at::kBFloat16)), 1);
}

TEST(WaitsForADevice, AreOneWhereEachModuleHasAProductOfItsOwn) {
  EXPECT_EQ(waits_of(bank_with(0, at::kFloat)), 1);
}

TEST(WaitsForADevice, AreNoneWhereEveryTokenGoesToEveryModule) {
  const Bank bank = bank_with(kModules, at::kFloat);
  const std::int64_t before = make_believe_waits();
  const ModuleDispatch all = dispatch_to_all(kTokens, kModules, make_believe_device());
  grouped_linear_sum(grouped_linear(bank.x, all.offset, bank.in), all.offset, bank.out).sum().backward();
  EXPECT_EQ(make_believe_waits() - before, 0);
  const ModuleDispatch on_cpu = dispatch_to_all(kTokens, kModules, at::kCPU);
  EXPECT_TRUE(all.slot_of_row.cpu().equal(on_cpu.slot_of_row));
  EXPECT_TRUE(all.row_of_slot.cpu().equal(on_cpu.row_of_slot));
}

TEST(OffsetsOnADevice, AreCopiedToTheHostOnceForAllCopies) {
  const at::Tensor chosen =
      at::tensor({2, 0, 2, 1}, at::TensorOptions(at::kLong)).view({2, 2}).to(make_believe_device());
  const ModuleDispatch dispatch = plan_dispatch(chosen, 4), copy = dispatch;
  EXPECT_EQ(dispatch.offset.modules(), 4);
  EXPECT_EQ(dispatch.offset.rows(), 4);
  const std::int64_t before = make_believe_waits();
  EXPECT_EQ(dispatch.offset.on_host(), (std::vector<std::int64_t>{0, 1, 2, 4, 4}));
  EXPECT_EQ(copy.offset.on_host(), dispatch.offset.on_host());
  EXPECT_EQ(make_believe_waits() - before, 1);
  EXPECT_TRUE(copy.offset.ends(make_believe_device()).cpu().equal(at::tensor({1, 2, 4, 4}, at::kInt)));
}

}  // namespace
}  // namespace mformer::kernels
