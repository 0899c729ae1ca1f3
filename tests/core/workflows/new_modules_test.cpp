// How many new modules each layer gets, and what they are made of.

#include "core/surgery/new_modules.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <set>

#include "tests/support/tiny_model.h"

namespace mformer {
namespace {

/// Statistics by which layer 0 is used by one module alone and layer 1 by all alike: left open, their numbers differ.
std::vector<RoutingStat> uneven_use(const Model& model) {
  std::vector<RoutingStat> stats;
  for (int l = 0; l < 2; ++l) {
    for (const Kind kind : {Kind::att, Kind::mlp}) {
      for (std::int64_t i = 0; i < model.blocks[l].bank(kind).size(); ++i) {
        RoutingStat stat;
        stat.layer = l, stat.kind = kind, stat.tokens = stat.slots = 100;
        stat.gate_mass = l == 1 ? 1.0 : i == 0 ? 1.0 : 1e-6;
        stats.push_back(stat);
      }
    }
  }
  return stats;
}

std::set<std::size_t> numbers_of(const NewModulePlan& plan, std::size_t banks) {
  std::set<std::size_t> numbers;
  for (const auto& [bank, positions] : plan) numbers.insert(positions.size());
  if (plan.size() < banks) numbers.insert(0);
  return numbers;
}

TEST(NewModulePlanTest, EqualGivesEveryLayerAsManyAsTheBudgetAllowsAll) {
  const Model model = testing::tiny_model();
  const auto stats = uneven_use(model);
  std::int64_t of_all_banks = 0;  // one module in each
  for (const Block& block : model.blocks) {
    of_all_banks += weights_of(block.att.modules[0]) + weights_of(block.mlp.modules[0]);
  }
  NewModuleCounts counts;
  EXPECT_GT(numbers_of(plan_new_modules(model, counts, stats, 2 * of_all_banks + 1), 4).size(), 1U) << "else no test";
  counts.equal = true;
  EXPECT_EQ(numbers_of(plan_new_modules(model, counts, stats, 2 * of_all_banks + 1), 4), std::set<std::size_t>{2});
  EXPECT_EQ(numbers_of(plan_new_modules(model, counts, stats, of_all_banks - 1), 4), std::set<std::size_t>{1})
      << "never none, though it exceeds the budget";
}

TEST(NewModulePlanTest, AModuleMoreOfAnUnroutedBankIsSilentAtFirst) {
  Model model = testing::tiny_model();
  for (Block& block : model.blocks) block.mlp.routed = false;
  for (const NewModules start : {NewModules::copy, NewModules::random, NewModules::unchanged}) {
    Model more = model;
    add_new_modules(more, {{{0, Kind::mlp}, {1}}}, start, /*replace=*/false, 3);
    EXPECT_EQ(more.blocks[0].mlp.modules.back().out.abs().max().item<double>(), 0.0);
    EXPECT_GT(more.blocks[0].mlp.modules.back().in.abs().max().item<double>(), 0.0);
  }
  Model instead = model;
  add_new_modules(instead, {{{0, Kind::mlp}, {1}}}, NewModules::copy, /*replace=*/true, 3);
  EXPECT_TRUE(instead.blocks[0].mlp.modules.back().out.equal(model.blocks[0].mlp.modules[1].out));
}

}  // namespace
}  // namespace mformer
