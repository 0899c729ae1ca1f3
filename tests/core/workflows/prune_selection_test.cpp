// Which modules pruning keeps, on made-up scores.

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "core/surgery/prune_selection.h"
#include "tests/support/expect_error.h"
#include "tests/support/tiny_model.h"

namespace mformer {
namespace {

ModuleChoice share(double keep, PruneScope scope) {
  ModuleChoice choice;
  choice.keep = keep, choice.scope = scope;
  return choice;
}

using testing::expect_error;
using ::testing::HasSubstr;
using testing::tiny_config;

using Positions = std::vector<std::vector<std::int64_t>>;

/// Two layers of `att` and `mlp` modules, k 2 each, with uids that say their place: "0.mlp.3".
Model model_of(const std::vector<std::int64_t>& att, const std::vector<std::int64_t>& mlp) {
  ModelConfig config = tiny_config();
  config.set_expert_counts(att, mlp);
  Model model = make_model(config, 1);
  for (std::size_t l = 0; l < 2; ++l) {
    for (const Kind kind : {Kind::att, Kind::mlp}) {
      auto& modules = model.blocks[l].bank(kind).modules;
      for (std::size_t i = 0; i < modules.size(); ++i) {
        modules[i].uid = std::to_string(l) + "." + std::string(to_string(kind)) + "." + std::to_string(i);
      }
    }
  }
  return model;
}

double by_position(std::int64_t, Kind, std::int64_t position) {
  return static_cast<double>(position);
}

TEST(KeepBest, RoundsUpAndNeverGoesBelowK) {
  const Model model = model_of({10, 10}, {10, 10});
  const auto kept = [&](double keep) { return keep_best(model, share(keep, PruneScope::layer), by_position).mlp[0].size(); };
  EXPECT_EQ(kept(0.3), 3U);
  EXPECT_EQ(kept(0.301), 4U);
  EXPECT_EQ(kept(0.7), 7U);
  EXPECT_EQ(kept(0.25), 3U);
  EXPECT_EQ(kept(0.01), 2U) << "k";
  EXPECT_EQ(kept(0.999), 10U);
}

TEST(KeepBest, DoesNotRoundUpWhatIsAHairMoreByItsBinaryForm) {
  const Model model = model_of({2, 2}, {100, 100});
  const auto kept = [&](double keep, PruneScope scope) { return keep_best(model, share(keep, scope), by_position).mlp; };
  ASSERT_GT(0.07 * 100, 7) << "or nothing is tested";
  EXPECT_EQ(kept(0.07, PruneScope::layer)[0].size(), 7U);
  ASSERT_GT(0.035 * 200, 7);
  const auto global = kept(0.035, PruneScope::global);
  EXPECT_EQ(global[0].size() + global[1].size(), 7U);
}

TEST(KeepBest, TakesTheBestOfEachLayerInTheirOldOrder) {
  const ModuleSelection kept = keep_best(model_of({4, 6}, {5, 3}), share(0.5, PruneScope::layer), by_position);
  EXPECT_EQ(kept.att, (Positions{{2, 3}, {3, 4, 5}}));
  EXPECT_EQ(kept.mlp, (Positions{{2, 3, 4}, {1, 2}}));
}

TEST(KeepBest, KeepsEverythingAtOne) {
  const Model model = model_of({4, 6}, {5, 3});
  for (const PruneScope scope : {PruneScope::layer, PruneScope::global}) {
    const ModuleSelection kept = keep_best(model, share(1.0, scope), by_position);
    EXPECT_EQ(kept.att, all_modules(model).att);
    EXPECT_EQ(kept.mlp, all_modules(model).mlp);
  }
}

TEST(KeepBest, PrefersTheEarlierPlaceOfEqualScores) {
  const auto same = [](std::int64_t, Kind, std::int64_t) { return 1.0; };
  EXPECT_EQ(keep_best(model_of({10, 10}, {10, 10}), share(0.3, PruneScope::layer), same).att,
            (Positions{{0, 1, 2}, {0, 1, 2}}));
  EXPECT_EQ(keep_best(model_of({10, 10}, {10, 10}), share(0.3, PruneScope::global), same).att,
            (Positions{{0, 1, 2, 3}, {0, 1}}));
}

TEST(KeepBest, GloballyTakesTheBestOfAllLayersAndAtLeastKInEach) {
  const Model model = model_of({10, 10}, {6, 8});
  const auto first_layer = [](std::int64_t layer, Kind, std::int64_t position) {
    return static_cast<double>(100 * (1 - layer) + position);
  };
  const ModuleSelection kept = keep_best(model, share(0.3, PruneScope::global), first_layer);
  EXPECT_EQ(kept.att, (Positions{{6, 7, 8, 9}, {8, 9}})) << "6 of 20";
  EXPECT_EQ(kept.mlp, (Positions{{3, 4, 5}, {6, 7}})) << "5 of 14: 4.2 rounded up";
  EXPECT_EQ(keep_best(model, share(0.01, PruneScope::global), first_layer).att, (Positions{{8, 9}, {8, 9}})) << "k a layer";
}

TEST(KeepBest, CountsEachKindByItself) {
  const auto att_only = [](std::int64_t, Kind kind, std::int64_t position) {
    return kind == Kind::att ? 1000.0 + static_cast<double>(position) : static_cast<double>(position);
  };
  const ModuleSelection kept = keep_best(model_of({10, 10}, {10, 10}), share(0.5, PruneScope::global), att_only);
  EXPECT_EQ(kept.att[0].size() + kept.att[1].size(), 10U);
  EXPECT_EQ(kept.mlp[0].size() + kept.mlp[1].size(), 10U);
}

/// Made-up statistics of one bank; modules without a row were never seen.
std::vector<RoutingStat> table() {
  return {{0, Kind::mlp, "0.mlp.0", 40, 10.0, 20.0, 50},  // often, with small gates and outputs
          {0, Kind::mlp, "0.mlp.1", 10, 9.0, 90.0, 50},   // seldom, but large
          {0, Kind::mlp, "0.mlp.2", 30, 15.0, 60.0, 50},  // the largest gates in sum
          {0, Kind::mlp, "0.mlp.3", 0, 0.0, 0.0, 50}};    // never
}

TEST(ScoreBy, RanksByWhatTheCriterionMeasures) {
  const Model model = model_of({4, 4}, {5, 5});
  const auto best_two = [&](Criterion criterion) {
    return keep_best(model, share(0.4, PruneScope::layer), score_by(criterion, model, table(), 1)).mlp[0];
  };
  EXPECT_EQ(best_two(Criterion::frequency), (std::vector<std::int64_t>{0, 2}));
  EXPECT_EQ(best_two(Criterion::gate_mass), (std::vector<std::int64_t>{0, 2}));
  EXPECT_EQ(best_two(Criterion::reap), (std::vector<std::int64_t>{1, 2}));
  const ModuleScore mass = score_by(Criterion::gate_mass, model, table(), 1);
  EXPECT_GT(mass(0, Kind::mlp, 2), mass(0, Kind::mlp, 0));
  EXPECT_GT(mass(0, Kind::mlp, 0), mass(0, Kind::mlp, 1));
  const ModuleScore reap = score_by(Criterion::reap, model, table(), 1);
  EXPECT_DOUBLE_EQ(reap(0, Kind::mlp, 1), 9.0) << "mean over its own tokens";
  EXPECT_EQ(reap(0, Kind::mlp, 3), 0.0) << "never routed to";
  EXPECT_EQ(reap(0, Kind::mlp, 4), 0.0) << "not in the table";
}

TEST(ScoreBy, TakesTheNormOfTheWeights) {
  Model model = model_of({4, 4}, {5, 5});
  model.blocks[0].mlp.modules[3].in.mul_(100.0);
  model.blocks[0].mlp.modules[1].out.mul_(50.0);
  const ModuleScore score = score_by(Criterion::norm, model, {}, 1);
  EXPECT_EQ(keep_best(model, share(0.4, PruneScope::layer), score).mlp[0], (std::vector<std::int64_t>{1, 3}));
  const Module& module = model.blocks[1].att.modules[2];
  EXPECT_NEAR(score(1, Kind::att, 2), (module.in.norm() * module.out.norm()).item<double>(), 1e-5);
}

TEST(ScoreBy, DrawsAtRandomByTheSeed) {
  const Model model = model_of({10, 10}, {10, 10});
  const auto kept = [&](std::uint64_t seed) {
    return keep_best(model, share(0.5, PruneScope::layer), score_by(Criterion::random, model, {}, seed)).mlp;
  };
  EXPECT_EQ(kept(1), kept(1));
  EXPECT_NE(kept(1), kept(2));
  EXPECT_NE(kept(1)[0], kept(1)[1]) << "each layer for itself";
}

TEST(Criterion, IsReadByItsName) {
  const std::vector<Criterion> all = {Criterion::frequency, Criterion::gate_mass, Criterion::reap, Criterion::norm,
                                      Criterion::random};
  ASSERT_EQ(criterion_names().size(), all.size());
  for (std::size_t i = 0; i < all.size(); ++i) {
    EXPECT_EQ(criterion_from_string(criterion_names()[i]), all[i]);
    EXPECT_EQ(to_string(all[i]), criterion_names()[i]);
  }
  EXPECT_EQ(criterion_from_string("gate-mass"), Criterion::gate_mass);
  EXPECT_EQ(criterion_from_string("random"), Criterion::random);
  EXPECT_THAT(expect_error<UsageError>([] { criterion_from_string("gatemass"); }, "gatemass"), HasSubstr("gate-mass"));
}

TEST(PruneSelection, EqualKeepsAsManyInEveryLayerAsTheSmallestHas) {
  ModuleChoice choice = share(0.5, PruneScope::layer);
  choice.equal = true;
  const ModuleSelection kept = keep_best(model_of({4, 10}, {6, 6}), choice, by_position);
  EXPECT_EQ((std::vector{kept.att[0].size(), kept.att[1].size()}), (std::vector<std::size_t>{4, 4}));
  EXPECT_EQ((std::vector{kept.mlp[0].size(), kept.mlp[1].size()}), (std::vector<std::size_t>{3, 3}));
  choice.scope = PruneScope::global;
  EXPECT_THROW(choice.validate(), UsageError);
}

}  // namespace
}  // namespace mformer
