// Placing the router rows of new modules from data: the regression, and what it does to a model's routing.

#include "core/training/place_rows.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "core/training/logistic_shift.h"
#include "tests/support/threads.h"
#include "tests/support/tiny_model.h"

namespace mformer {
namespace {

using testing::tiny_config;
using testing::tiny_model;

/// Two overlapping clouds, a little apart in the first coordinate.
std::pair<LabelledTokens, LabelledTokens> clouds(std::int64_t tokens, std::int64_t width) {
  at::manual_seed(31);
  const at::Tensor apart = at::zeros({width});
  apart[0] = 1.0;
  return {{at::randn({tokens, width}) - apart, at::randn({tokens})},
          {at::randn({tokens, width}) + apart, at::randn({tokens})}};
}

double objective(const LabelledTokens& first, const LabelledTokens& second, const at::Tensor& shift, double weight,
                 double ridge) {
  const auto odds = [&](const LabelledTokens& side) {
    return side.odds.to(at::kDouble) + side.inputs.to(at::kDouble).mv(shift.to(at::kDouble));
  };
  const at::Tensor both = at::cat({first.inputs, second.inputs}).to(at::kDouble);
  return weight * at::softplus(odds(first)).mean().item<double>() + at::softplus(-odds(second)).mean().item<double>() +
         0.5 * ridge * both.square().mean().item<double>() * shift.to(at::kDouble).square().sum().item<double>();
}

TEST(LogisticShift, MinimisesItsObjective) {
  const auto [first, second] = clouds(400, 6);
  for (const double weight : {1.0, 4.0}) {
    const at::Tensor shift = logistic_shift(first, second, weight, 1e-2);
    const double best = objective(first, second, shift, weight, 1e-2);
    EXPECT_LT(best, objective(first, second, at::zeros({6}), weight, 1e-2) - 0.1);
    for (std::int64_t i = 0; i < 6; ++i) {
      for (const double by : {-0.02, 0.02}) {
        at::Tensor other = shift.clone();
        other[i].add_(by);
        EXPECT_GT(objective(first, second, other, weight, 1e-2), best) << i << ' ' << by;
      }
    }
  }
}

TEST(LogisticShift, StaysFiniteForClassesThatALineSeparates) {
  LabelledTokens first{at::full({50, 2}, -1.0), at::zeros({50})}, second{at::full({50, 2}, 1.0), at::zeros({50})};
  const at::Tensor shift = logistic_shift(first, second, 1.0, 1e-3);
  EXPECT_TRUE(shift.isfinite().all().item<bool>());
  EXPECT_LT(shifted_odds(first, shift).max().item<double>(), -3);
  EXPECT_GT(shifted_odds(second, shift).min().item<double>(), 3);
}

TEST(LogisticShift, GivesTheSameBitsWhateverTheNumberOfThreads) {
  const auto [first, second] = clouds(40000, 6);
  const testing::ThreadCount one(1);
  const at::Tensor alone = logistic_shift(first, second, 2.0, 1e-3);
  const testing::ThreadCount two(2);
  EXPECT_TRUE(alone.equal(logistic_shift(first, second, 2.0, 1e-3)));
}

/// A model whose last two modules of each bank are new, and text of two kinds: ids below 20, and from 40 to 59.
class PlaceRows : public ::testing::TestWithParam<std::string> {
 protected:
  PlaceRows() : model_(tiny_model(tiny_config(GetParam()))) {
    for (Block& block : model_.blocks) {
      for (const Kind kind : {Kind::att, Kind::mlp}) {
        auto& modules = block.bank(kind).modules;
        for (std::size_t i = 0; i + 2 < modules.size(); ++i) modules[i].uid = "old";
      }
    }
  }

  static std::vector<Batch> text(std::int64_t first, std::uint64_t seed) {
    const at::Tensor ids = testing::tiny_ids(16, 20, seed).remainder(20) + first;
    return {{ids.narrow(0, 0, 8), ids.narrow(0, 0, 8), {}}, {ids.narrow(0, 8, 8), ids.narrow(0, 8, 8), {}}};
  }

  /// Mean probability of the new modules, over all banks.
  double new_mass(const std::vector<Batch>& batches) const {
    double sum = 0;
    int terms = 0;
    for (const Batch& batch : batches) {
      for (const BlockTrace& block : forward(model_, batch.inputs).routing) {
        for (const Kind kind : {Kind::att, Kind::mlp}) {
          const at::Tensor& probs = block.bank(kind).decision.probs;
          sum += probs.narrow(1, probs.size(1) - 2, 2).sum(1).mean().item<double>();
          ++terms;
        }
      }
    }
    return sum / terms;
  }

  Model model_;
};

TEST_P(PlaceRows, SendsOldTextToOldModulesAndNewTextToNewOnes) {
  const auto unseen_old = text(0, 3), unseen_new = text(40, 4);
  const double gap_before = new_mass(unseen_new) - new_mass(unseen_old);
  const auto placed = place_rows(model_, text(0, 1), text(40, 2));
  ASSERT_EQ(placed.size(), 4U);
  for (const PlacedBank& bank : placed) {
    EXPECT_GT(bank.new_after - bank.old_after, bank.new_before - bank.old_before + 0.05) << bank.layer;
  }
  EXPECT_GT(new_mass(unseen_new) - new_mass(unseen_old), gap_before + 0.1) << "text that was not looked at";
}

TEST_P(PlaceRows, MovesNothingButTheNewRowsAndThoseTogether) {
  const Model before = clone(model_);
  place_rows(model_, text(0, 1), text(40, 2));
  for (std::size_t l = 0; l < 2; ++l) {
    const auto &was = before.blocks[l].mlp.modules, &is = model_.blocks[l].mlp.modules;
    for (std::size_t i = 0; i < 3; ++i) EXPECT_TRUE(is[i].row.equal(was[i].row));
    EXPECT_FALSE(is[3].row.equal(was[3].row));
    EXPECT_TRUE(is[3].in.equal(was[3].in));
    EXPECT_TRUE(at::allclose(is[3].row - was[3].row, is[4].row - was[4].row, 1e-4, 1e-5)) << "their difference stays";
  }
}

TEST_P(PlaceRows, GuardsOldTextMoreWithMoreWeight) {
  Model lax = clone(model_);
  PlacementOptions options;
  options.old_weight = 0.5;
  const auto open = place_rows(lax, text(0, 1), text(40, 2), options);
  options.old_weight = 8;
  const auto guarded = place_rows(model_, text(0, 1), text(40, 2), options);
  EXPECT_LT(guarded[0].old_after, open[0].old_after);
  EXPECT_LT(guarded[0].new_after, open[0].new_after);
}

INSTANTIATE_TEST_SUITE_P(Gates, PlaceRows, ::testing::Values("mlp", "linear"),
                         [](const auto& instance) { return instance.param; });

TEST(PlaceRowsOfDirections, LeaveGmmRoutersAlone) {
  Model model = tiny_model(tiny_config("gmm"));
  const Batch batch{testing::tiny_ids(2, 8), testing::tiny_ids(2, 8), {}};
  EXPECT_TRUE(place_rows(model, {batch}, {batch}).empty());
  EXPECT_TRUE(testing::same_bits(model, tiny_model(tiny_config("gmm"))));
}

TEST_P(PlaceRows, HasALossForTrainingThatIsTheObjectiveOverRouters) {
  const at::Tensor ids = testing::tiny_ids(4, 10);
  const Batch batch{ids, ids, at::tensor({1, 0, 0, 0}, at::kLong).to(at::kBool)};
  const ForwardOutput output = forward(model_, ids);
  double expected = 0;
  for (const BlockTrace& block : output.routing) {
    for (const Kind kind : {Kind::att, Kind::mlp}) {
      const at::Tensor probs = block.bank(kind).decision.logits.to(at::kDouble).softmax(1);
      const at::Tensor fresh = probs.narrow(1, probs.size(1) - 2, 2).sum(1);
      expected -= 3.0 * (1.0 - fresh.narrow(0, 0, 10)).log().mean().item<double>();
      expected -= fresh.narrow(0, 10, 30).log().mean().item<double>();
    }
  }
  EXPECT_NEAR(placement_loss(model_, output, batch, 3.0).item<double>(), expected, 1e-4);
}

}  // namespace
}  // namespace mformer
