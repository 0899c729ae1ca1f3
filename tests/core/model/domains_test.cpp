#include "core/model/domains.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "core/model/forward.h"
#include "tests/support/expect_error.h"
#include "tests/support/tiny_domains.h"
#include "tests/support/tolerance.h"

namespace mformer {
namespace {

using testing::relative_error;
using testing::tiny_config;
using testing::tiny_ids;
using testing::tiny_model;
using testing::tiny_model_with_domains;
using testing::tuned_for_domain;

at::Tensor logits(const Model& model) {
  return logits_of(model, forward(model, tiny_ids(2, 20)).hidden);
}

class DomainsTest : public ::testing::TestWithParam<std::string> {
 protected:
  ModelConfig config_ = tiny_config(GetParam());
  Model base_ = tiny_model(config_);
  Model model_ = tiny_model_with_domains(config_);
};

TEST_P(DomainsTest, LeaveTheBaseAsItWasToTheLastBit) {
  EXPECT_TRUE(logits(view_of(model_, "base")).equal(logits(base_)));
}

TEST_P(DomainsTest, HaveTheHypothesisThatTheyWereMadeFrom) {
  // The same modules in another order: sums run in another order, so the last bits may differ.
  const Model german = tuned_for_domain(base_, 5), python = tuned_for_domain(base_, 6);
  EXPECT_LE(relative_error(logits(view_of(model_, "german")), logits(german)), 1e-5);
  EXPECT_LE(relative_error(logits(view_of(model_, "python")), logits(python)), 1e-5);
  EXPECT_GT(relative_error(logits(german), logits(python)), 1e-2);
}

TEST_P(DomainsTest, DoNotChangeEachOther) {
  Model alone = base_;
  testing::add_domain(alone, "german", tuned_for_domain(base_, 5));
  EXPECT_TRUE(logits(view_of(alone, "german")).equal(logits(view_of(model_, "german"))));
}

TEST_P(DomainsTest, GoWithoutATrace) {
  const Model without = without_domain(model_, "german");
  EXPECT_EQ(hypotheses(without), (std::vector<std::string>{"base", "python"}));
  EXPECT_TRUE(logits(view_of(without, "python")).equal(logits(view_of(model_, "python"))));
  EXPECT_TRUE(testing::same_bits(without_domain(without, "python"), base_));
  EXPECT_EQ(without_domain(without, "python").config, base_.config);
}

TEST_P(DomainsTest, KeepTheRouterRowsOfTheModulesThatASelectionKeeps) {
  ModuleSelection keep = all_modules(model_);
  for (const Kind kind : {Kind::att, Kind::mlp}) {
    for (auto& positions : keep.of(kind)) positions.erase(positions.begin() + 1);
  }
  Model view = view_of(model_, "german");
  ModuleSelection of_view = all_modules(view);
  for (const Kind kind : {Kind::att, Kind::mlp}) {
    for (auto& positions : of_view.of(kind)) positions.erase(positions.begin());  // position 0 has a copy in its place
  }
  EXPECT_TRUE(logits(view_of(select(model_, keep), "german")).equal(logits(select(view, of_view))));
}

TEST_P(DomainsTest, AreClonedConvertedAndCounted) {
  const Model copy = clone(model_);
  EXPECT_TRUE(logits(view_of(copy, "python")).equal(logits(view_of(model_, "python"))));
  Model wide = model_;
  convert(wide, at::kDouble);
  EXPECT_EQ(logits(view_of(wide, "python")).scalar_type(), at::kDouble);
  EXPECT_GT(size_of(model_).weights, size_of(without_domain(model_, "python")).weights);
}

TEST_P(DomainsTest, HideTheBaseFromADomainThatStandsAlone) {
  Model model = base_;
  Model own = clone(base_);
  for (Block& block : own.blocks) {
    for (const Kind kind : {Kind::att, Kind::mlp}) {
      for (Module& module : block.bank(kind).modules) module.domain = "qa";
    }
  }
  for (std::size_t l = 0; l < 2; ++l) {
    for (const Kind kind : {Kind::att, Kind::mlp}) {
      auto& modules = model.blocks[l].bank(kind).modules;
      const auto& mine = own.blocks[l].bank(kind).modules;
      modules.insert(modules.end(), mine.begin(), mine.begin() + 3);
    }
  }
  model.domains.push_back({"qa", true, {}});
  model.config.set_expert_counts({7, 7}, {8, 8});
  const ModuleSelection three{{{0, 1, 2}, {0, 1, 2}}, {{0, 1, 2}, {0, 1, 2}}};
  EXPECT_TRUE(logits(view_of(model, "qa")).equal(logits(select(base_, three))));
  EXPECT_TRUE(logits(view_of(model, "base")).equal(logits(base_)));
}

INSTANTIATE_TEST_SUITE_P(Gates, DomainsTest, ::testing::Values("mlp", "linear", "gmm"),
                         [](const auto& instance) { return instance.param; });

TEST(Domains, AreNamedWhenOneIsUnknown) {
  const Model model = tiny_model_with_domains();
  EXPECT_THAT(testing::expect_error<UsageError>([&] { view_of(model, "germn"); }, "germn"),
              ::testing::HasSubstr("german"));
  testing::expect_error<UsageError>([&] { view_of(tiny_model(), "german"); }, "no domain 'german'");
}

TEST(Domains, CannotBeRunAsOneModel) {
  testing::expect_error<Error>([] { forward(tiny_model_with_domains(), tiny_ids(1, 4)); }, "views");
}

TEST(Domains, ShareAHeadThatIsTheEmbedding) {
  ModelConfig config = tiny_config();
  config.tie_word_embeddings = true;
  Model base = make_model(config, 3), tuned = testing::tuned_for_domain(base, 5);
  tuned.lm_head = tuned.wte;
  Model model = base;
  testing::add_domain(model, "german", tuned);
  EXPECT_LE(relative_error(logits(view_of(model, "german")), logits(tuned)), 1e-5);
  EXPECT_TRUE(logits(view_of(model, "base")).equal(logits(base)));
}

TEST(PrivateParts, AreOnlyTheRowsOfTheVocabularyThatDiffer) {
  const Model base = tiny_model();
  Model tuned = clone(base);
  tuned.wte[7].add_(1), tuned.wte[9].add_(1), tuned.lm_head[3].add_(1);
  const auto parts = private_parts(base, tuned);
  ASSERT_EQ(parts.size(), 2);
  EXPECT_EQ(parts[0].name, "wte");
  EXPECT_TRUE(parts[0].rows.equal(at::tensor({7, 9}, at::kLong)));
  EXPECT_EQ(parts[1].name, "lm_head");
  EXPECT_TRUE(parts[1].value.equal(tuned.lm_head.narrow(0, 3, 1)));
}

}  // namespace
}  // namespace mformer
