// Who routes where: counted from the router itself, and what is computed from the counts.

#include "core/workspace/routing_stats.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/workflows/inspect.h"
#include "core/workspace/module_share.h"
#include "tests/support/tiny_data.h"
#include "tests/support/tiny_workspace.h"

namespace mformer {
namespace {

using ::testing::ElementsAre;
using testing::TinyWorkspace;

/// A task whose tokens were never text.
TaskData task_of(TokenData tokens) {
  TaskData task{{}, {tokens, tokens, tokens, {}, false, 0, "", "memory"}};
  task.record.name = "numbers";
  return task;
}

TEST(CollectRouting, CountsSlotsGatesAndWeightedNormsOfEveryModule) {
  TinyWorkspace workspace;
  LoadedVersion base = workspace.load();
  base.model.config.block_size = 12;
  const PackedWindows windows(testing::tiny_tokens(61), 12, LastWindow::drop);
  const auto stats =
      collect_routing(workspace.session("inspect"), base.model, task_of(testing::tiny_tokens(61)), Split::held_out, 0);
  std::map<std::string, RoutingStat> expected;
  const at::NoGradGuard no_grad;
  ForwardOptions how;
  how.norms = true;
  for (std::int64_t w = 0; w < windows.size(); ++w) {
    const at::Tensor ids = at::tensor(windows.window(w).inputs, at::kLong).unsqueeze(0);
    const ForwardOutput output = forward(base.model, ids, how);
    for (std::size_t l = 0; l < 2; ++l) {
      for (const Kind kind : {Kind::att, Kind::mlp}) {
        const BankTrace& trace = output.routing[l].bank(kind);
        for (std::int64_t t = 0; t < 12; ++t) {
          for (std::int64_t c = 0; c < 2; ++c) {
            const auto m = trace.decision.indices[t][c].item<std::int64_t>();
            const double gate = trace.decision.gates[t][c].item<double>();
            RoutingStat& stat = expected[base.model.blocks[l].bank(kind).modules[m].uid];
            ++stat.slots;
            stat.gate_mass += gate;
            stat.weighted_output_norm += gate * trace.output_norms[t][c].item<double>();
          }
        }
      }
    }
  }
  ASSERT_EQ(stats.size(), 18U);
  for (const RoutingStat& stat : stats) {
    EXPECT_EQ(stat.tokens, 60);
    EXPECT_EQ(stat.slots, expected[stat.module_uid].slots);
    EXPECT_NEAR(stat.gate_mass, expected[stat.module_uid].gate_mass, 1e-4);
    EXPECT_NEAR(stat.weighted_output_norm, expected[stat.module_uid].weighted_output_norm, 1e-3);
  }
}

TEST(CollectRouting, DoesNotCountThePaddingOfTheLastWindow) {
  TinyWorkspace workspace;
  LoadedVersion base = workspace.load();
  base.model.config.block_size = 24;
  const auto stats =
      collect_routing(workspace.session("inspect"), base.model, task_of(testing::tiny_tokens(31)), Split::held_out, 0);
  std::int64_t slots = 0;
  for (const RoutingStat& stat : stats) {
    EXPECT_EQ(stat.tokens, 30);
    if (stat.layer == 0 && stat.kind == Kind::mlp) slots += stat.slots;
  }
  EXPECT_EQ(slots, 2 * 30);
}

/// Statistics of one bank: module "0", "1", … with these slots.
std::vector<RoutingStat> bank(int layer, Kind kind, const std::vector<std::int64_t>& slots) {
  std::vector<RoutingStat> stats;
  for (std::size_t i = 0; i < slots.size(); ++i) {
    stats.push_back({layer, kind, std::to_string(i), slots[i], 0, 0, 10});
  }
  return stats;
}

std::vector<RoutingStat> operator+(std::vector<RoutingStat> a, const std::vector<RoutingStat>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

TEST(RouterLeak, IsTheShareOfSlotsThatGoesToLaterModules) {
  const auto stats = bank(0, Kind::att, {6, 2, 1, 1}) + bank(0, Kind::mlp, {0, 0, 5, 15}) + bank(1, Kind::mlp, {0, 0});
  const auto leak = router_leak(stats, {"2", "3"});
  ASSERT_EQ(leak.size(), 3U);
  EXPECT_EQ(leak[0].kind, Kind::att);
  EXPECT_DOUBLE_EQ(leak[0].share, 0.2);
  EXPECT_DOUBLE_EQ(leak[1].share, 1.0);
  EXPECT_DOUBLE_EQ(leak[2].share, 0.0) << "no slots at all";
  EXPECT_DOUBLE_EQ(mean_leak(leak), 0.4);
  EXPECT_EQ(mean_leak({}), 0.0);
  EXPECT_DOUBLE_EQ(mean_leak(router_leak(stats, {})), 0.0);
}

TEST(NinetyPercentShare, IsTheFewestModulesThatTakeNineTenths) {
  EXPECT_DOUBLE_EQ(ninety_percent_share(bank(0, Kind::mlp, {10, 80, 10, 0})), 0.5);
  EXPECT_DOUBLE_EQ(ninety_percent_share(bank(0, Kind::mlp, {5, 90, 5, 0})), 0.25);
  EXPECT_DOUBLE_EQ(ninety_percent_share(bank(0, Kind::mlp, {25, 25, 25, 25})), 1.0);
  EXPECT_DOUBLE_EQ(ninety_percent_share(bank(0, Kind::mlp, {90, 10}) + bank(1, Kind::mlp, {5, 5})), 0.75);
  EXPECT_EQ(ninety_percent_share({}), 0.0);
}

/// A bank whose modules are all taken by all of 10 tokens, with these sums of output norms.
std::vector<RoutingStat> unrouted(int layer, const std::vector<double>& norms) {
  std::vector<RoutingStat> stats;
  for (std::size_t i = 0; i < norms.size(); ++i) {
    stats.push_back({layer, Kind::mlp, std::to_string(i), 10, 10, norms[i], 10});
  }
  return stats;
}

std::vector<double> values(const std::vector<ModuleShare>& shares, bool of_norm) {
  std::vector<double> values;
  for (const ModuleShare& share : shares) {
    EXPECT_EQ(share.of_norm, of_norm);
    values.push_back(share.value);
  }
  return values;
}

TEST(ModuleShares, AreOfSlotsWhereARouterChoosesAndOfOutputNormsWhereAllAreTaken) {
  std::vector<RoutingStat> routed = bank(0, Kind::mlp, {6, 2, 2, 0});
  for (RoutingStat& stat : routed)
    stat.gate_mass = 0.4 * static_cast<double>(stat.slots), stat.weighted_output_norm = 1;
  EXPECT_THAT(values(module_shares(routed), false), ElementsAre(0.6, 0.2, 0.2, 0));
  EXPECT_THAT(values(module_shares(unrouted(0, {6, 3, 1})), true), ElementsAre(0.6, 0.3, 0.1));
  const auto both = module_shares(routed + unrouted(1, {3, 1}));
  EXPECT_FALSE(both[3].of_norm);
  EXPECT_TRUE(both[4].of_norm);
  EXPECT_EQ(both[4].value, 0.75);
}

TEST(ModuleShares, TellOneModuleOfGateOneATokenFromAllOfThem) {
  std::vector<RoutingStat> top_1 = bank(0, Kind::mlp, {7, 2, 1});
  for (RoutingStat& stat : top_1) stat.gate_mass = static_cast<double>(stat.slots), stat.weighted_output_norm = 1;
  EXPECT_THAT(values(module_shares(top_1), false), ElementsAre(0.7, 0.2, 0.1));
  // All of a routed bank, and an unrouted one of which a domain's module ran over some windows only.
  std::vector<RoutingStat> all = unrouted(0, {3, 1});
  for (RoutingStat& stat : all) stat.gate_mass = 5;
  EXPECT_THAT(values(module_shares(all), true), ElementsAre(0.75, 0.25));
  std::vector<RoutingStat> extended = unrouted(0, {5, 3, 2});
  extended[2].slots = 4, extended[2].gate_mass = 4;
  EXPECT_THAT(values(module_shares(extended), true), ElementsAre(0.5, 0.3, 0.2));
  EXPECT_THAT(values(module_shares(unrouted(0, {0, 0})), false), ElementsAre(0.5, 0.5)) << "nothing came out of them";
}

TEST(NinetyPercentShare, CountsOutputNormsWhereAllModulesAreTaken) {
  EXPECT_DOUBLE_EQ(ninety_percent_share(unrouted(0, {60, 30, 9, 1})), 0.5);
  EXPECT_DOUBLE_EQ(ninety_percent_share(unrouted(0, {1, 1, 1, 1})), 1.0);
}

TEST(RoutingDivergence, ComparesOutputNormsWhereAllModulesAreTaken) {
  EXPECT_DOUBLE_EQ(routing_divergence(unrouted(0, {4, 2}), unrouted(0, {2, 1})), 0.0);
  EXPECT_DOUBLE_EQ(routing_divergence(unrouted(0, {5, 0}), unrouted(0, {0, 5})), 1.0);
}

TEST(RoutingDivergence, RunsFromZeroForTheSameToOneForNothingInCommon) {
  const auto a = bank(0, Kind::mlp, {5, 5, 0, 0}), b = bank(0, Kind::mlp, {0, 0, 7, 7});
  EXPECT_DOUBLE_EQ(routing_divergence(a, a), 0.0);
  EXPECT_DOUBLE_EQ(routing_divergence(a, b), 1.0);
  const auto c = bank(0, Kind::mlp, {5, 0, 5, 0});
  EXPECT_DOUBLE_EQ(routing_divergence(a, c), 0.5);
  EXPECT_DOUBLE_EQ(routing_divergence(c, a), 0.5);
}

}  // namespace
}  // namespace mformer
