// Masking and pruning are the same thing: select().

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/model/forward.h"
#include "modules_registry/error.h"
#include "tests/support/naive_model.h"
#include "tests/support/tiny_model.h"
#include "tests/support/tolerance.h"

namespace mformer {
namespace {

using ::testing::HasSubstr;
using testing::naive_forward;
using testing::relative_error;
using testing::tiny_config;
using testing::tiny_ids;
using testing::tiny_model;
using ::testing::Values;

ModuleSelection some_modules() {
  return {{{0, 2, 3}, {1, 2}}, {{1, 4}, {0, 1, 2, 4}}};
}

at::Tensor whole_logits(const Model& model, const at::Tensor& ids) {
  return logits_of(model, forward(model, ids).hidden);
}

class SelectOfEveryGate : public ::testing::TestWithParam<std::string> {};

TEST_P(SelectOfEveryGate, IsWhatMaskingTheOthersGives) {
  Model model = tiny_model(tiny_config(GetParam()));
  convert(model, at::kDouble);
  const at::Tensor ids = tiny_ids(2, 17);
  const Model selected = select(model, some_modules());
  EXPECT_LE(relative_error(forward(selected, ids).hidden, naive_forward(model, ids, some_modules())), 1e-10);
  EXPECT_GT(relative_error(forward(selected, ids).hidden, forward(model, ids).hidden), 1e-3) << "nothing was masked";
}

TEST_P(SelectOfEveryGate, ChangesNotABitWhenEverythingIsKept) {
  const Model model = tiny_model(tiny_config(GetParam()));
  const at::Tensor ids = tiny_ids(2, 17);
  EXPECT_TRUE(whole_logits(select(model, all_modules(model)), ids).equal(whole_logits(model, ids)));
}

TEST_P(SelectOfEveryGate, BringsBackTheOldModelBitForBitAfterModulesWereAppended) {
  const Model old = tiny_model(tiny_config(GetParam()));
  Model grown = old;
  at::Generator generator = at::detail::createCPUGenerator(5);
  for (Block& block : grown.blocks) {
    for (const Kind kind : {Kind::att, Kind::mlp}) {
      for (int i = 0; i < 3; ++i) block.bank(kind).modules.push_back(make_module(old.config, 0, kind, generator));
    }
  }
  grown.config.set_expert_counts({7, 7}, {8, 8});
  const at::Tensor ids = tiny_ids(3, 70);
  EXPECT_FALSE(whole_logits(grown, ids).equal(whole_logits(old, ids))) << "the new modules change nothing";
  EXPECT_TRUE(whole_logits(select(grown, all_modules(old)), ids).equal(whole_logits(old, ids)));
}

INSTANTIATE_TEST_SUITE_P(Gates, SelectOfEveryGate, Values("mlp", "linear", "gmm"),
                         [](const auto& instance) { return instance.param; });

TEST(Select, SharesTensorsAndLeavesTheModelAlone) {
  const Model model = tiny_model();
  const Model selected = select(model, some_modules());
  EXPECT_TRUE(selected.wte.is_same(model.wte));
  EXPECT_TRUE(selected.blocks[0].att.modules[1].in.is_same(model.blocks[0].att.modules[2].in));
  EXPECT_EQ(model.blocks[0].att.modules.size(), 4U);
}

TEST(Select, KeepsTheIdentityAndTheFlagOfEachModule) {
  Model model = tiny_model();
  model.blocks[0].att.modules[2].uid = "0123456789ab";
  model.blocks[0].att.modules[2].frozen = true;
  const Model selected = select(model, some_modules());
  const Module& moved = selected.blocks[0].att.modules[1];
  EXPECT_EQ(moved.uid, "0123456789ab");
  EXPECT_TRUE(moved.frozen);
}

TEST(Select, CountsTheModulesOfEachLayerInTheConfig) {
  const Model selected = select(tiny_model(), some_modules());
  EXPECT_EQ(selected.config.n_att(0), 3);
  EXPECT_EQ(selected.config.n_att(1), 2);
  EXPECT_EQ(selected.config.n_mlp(0), 2);
  EXPECT_EQ(selected.config.n_mlp(1), 4);
  EXPECT_EQ(selected.config.n_att_experts, 3);
  EXPECT_NO_THROW(selected.config.validate());
}

TEST(Select, RefusesFewerModulesThanATokenUses) {
  ModuleSelection keep = some_modules();
  keep.mlp[1] = {3};
  try {
    select(tiny_model(), keep);
    FAIL() << "nothing was refused";
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), HasSubstr("layer 1 would keep 1 mlp modules"));
    EXPECT_FALSE(e.hint().empty());
  }
}

TEST(Select, MakesTheModelSmaller) {
  const Model model = tiny_model();
  const ModelSize before = size_of(model), after = size_of(select(model, some_modules()));
  // 1 + 2 attention modules of 2·16·8 + 8 weights and 3 + 1 feed-forward modules of 2·16·12 + 8.
  EXPECT_EQ(before.weights - after.weights, 3 * (2 * 16 * 8 + 8) + 4 * (2 * 16 * 12 + 8));
  EXPECT_EQ(before.bytes, before.weights * 4);
}

}  // namespace
}  // namespace mformer
