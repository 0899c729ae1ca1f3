// Dense layers as modules behind a router: the function is kept, and what can't keep it is refused.

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include "core/checkpoint/hub_model.h"
#include "core/families/family.h"
#include "core/model/forward.h"
#include "core/model/inference.h"
#include "core/surgery/upcycle.h"
#include "tests/core/text/temporary_folder.h"
#include "tests/support/expect_error.h"
#include "tests/support/tiny_model.h"
#include "tests/support/tolerance.h"

namespace mformer {
namespace {

using testing::expect_error;
using testing::kFloat32;
using testing::relative_error;

UpcyclePlan copies(std::int64_t modules, std::int64_t k) {
  return {UpcycleForm::copies, modules, k, 0.01, 5};
}

UpcyclePlan slices(std::int64_t modules, std::int64_t k) {
  return {UpcycleForm::slices, modules, k, 0, 5};
}

Model golden_family(const std::string& name) {
  return load_hub_model(open_hub_folder(std::filesystem::path(MFORMER_TEST_DATA) / "golden-families" / name));
}

/// A dense Llama of three layers, 24 wide, unless `more` says otherwise.
Model dense_model(const std::string& more = "", const std::string& type = "llama") {
  const HubConfig read = read_hub_config(
      R"({"model_type":")" + type +
          R"(","vocab_size":61,"hidden_size":16,"num_attention_heads":4,"num_key_value_heads":2,"num_hidden_layers":3,
              "intermediate_size":24,"max_position_embeddings":32,"initializer_range":0.3,"bos_token_id":60,
              "eos_token_id":60)" +
          more + "}",
      "a test");
  return testing::tiny_model(read.config);
}

Model settled(const Model& dense, const UpcyclePlan& plan) {
  Model model = upcycled(dense, plan);
  settle_family(model.config);
  return model;
}

at::Tensor logits_on_ids(const Model& model) {
  return logits_of(model, forward(model, testing::tiny_ids(2, 24)).hidden);
}

TEST(Upcycled, CopiesGiveTheLogitsOfEveryDenseFamilyWhateverTheRouterChooses) {
  for (const char* family : {"llama", "mistral", "qwen2", "qwen3"}) {
    const Model dense = golden_family(family);
    for (const std::int64_t k : {1, 2, 4}) {
      require_upcyclable(dense, copies(4, k), family);
      const Model model = upcycled(dense, copies(4, k));
      EXPECT_LE(relative_error(logits_on_ids(model), logits_on_ids(dense)), kFloat32) << family << k;
      ForwardOptions how;
      const auto routing = forward(model, testing::tiny_ids(2, 24), how).routing;
      EXPECT_GT(routing[0].mlp.decision.indices.max().item<std::int64_t>(), 0) << "all tokens take one copy: no test";
      EXPECT_EQ(routing[0].mlp.decision.indices.size(1), k);
    }
  }
}

TEST(Upcycled, SlicesGiveTheLogitsOfEveryDenseFamilyWhileAllAreTaken) {
  for (const char* family : {"llama", "mistral", "qwen2", "qwen3"}) {
    const Model dense = golden_family(family);
    for (const std::int64_t number : {2, 4, 8}) {
      const Model model = upcycled(dense, slices(number, 1));
      EXPECT_LE(relative_error(logits_on_ids(model), logits_on_ids(dense)), kFloat32) << family << number;
      EXPECT_EQ(size_of(model).weights, size_of(dense).weights + model.config.n_layer * number * model.config.n_embd);
    }
  }
}

TEST(Upcycled, SlicesOfUnitsInAnyOrderAreStillTheLayerAndKnowWhereTheirUnitsWere) {
  Model dense = dense_model();  // eight slices of 3
  for (std::size_t i = 0; i < 8; ++i) dense.blocks[1].mlp.modules[i].uid = std::string(1, static_cast<char>('a' + i));
  UpcyclePlan plan = slices(6, 3);
  plan.order[1] = at::arange(23, -1, -1, at::kLong);
  const Model model = upcycled(dense, plan);
  EXPECT_LE(relative_error(logits_on_ids(model), logits_on_ids(dense)), kFloat32);
  EXPECT_FALSE(model.blocks[1].mlp.modules[0].in.equal(upcycled(dense, slices(6, 3)).blocks[1].mlp.modules[0].in));
  EXPECT_EQ(sources_of(dense, plan, 1, 0), "g,h");
  EXPECT_EQ(sources_of(dense, plan, 1, 5), "a,b");
}

TEST(Upcycled, IsTheSamePreparedForInference) {
  const at::NoGradGuard no_grad;
  const Model dense = dense_model();
  for (const UpcyclePlan& plan : {copies(3, 2), slices(4, 4)}) {
    const PreparedModel prepared = prepare_for_inference(upcycled(dense, plan), at::kFloat);
    const at::Tensor logits = logits_of(prepared, forward(prepared, testing::tiny_ids(2, 24)).hidden);
    EXPECT_LE(relative_error(logits, logits_on_ids(dense)), kFloat32);
  }
}

TEST(Upcycled, LayersOfDifferentWidthsAreFilledUpWithSilentUnits) {
  Model dense = dense_model();
  ModuleSelection some = all_modules(dense);
  some.mlp[1] = {0, 3, 5};
  some.mlp[2] = {};
  dense = select(dense, some);
  for (const UpcyclePlan& plan : {copies(3, 2), slices(6, 3)}) {
    require_upcyclable(dense, plan, "it");
    const Model model = upcycled(dense, plan);
    EXPECT_LE(relative_error(logits_on_ids(model), logits_on_ids(dense)), kFloat32);
    EXPECT_FALSE(model.blocks[2].mlp.routed) << "there is nothing to make modules of";
  }
}

TEST(Upcycled, BesideLayersThatHaveRoutersTheNewOnesAreLikeThem) {
  const std::string experts = R"(,"num_experts":4,"num_experts_per_tok":2,"moe_intermediate_size":24,"head_dim":4,
                                 "mlp_only_layers":[1],"norm_topk_prob":)";
  const Model dense = dense_model(experts + "true", "qwen3_moe");
  for (const UpcyclePlan& plan : {copies(4, 2), slices(2, 2)}) {
    require_upcyclable(dense, plan, "it");
    const Model model = settled(dense, plan);
    EXPECT_LE(relative_error(logits_on_ids(model), logits_on_ids(dense)), kFloat32);
    EXPECT_EQ(model.blocks[0].mlp.modules[1].in.data_ptr(), dense.blocks[0].mlp.modules[1].in.data_ptr());
    EXPECT_EQ(model.config.family, "qwen3_moe");
    EXPECT_EQ(model.config.aux_loss_weight, plan.form == UpcycleForm::copies ? 0.01 : 0) << "as the plan says";
  }
  UpcyclePlan unsaid = copies(4, 2);
  unsaid.balance = -1;
  EXPECT_EQ(upcycled(dense, unsaid).config.aux_loss_weight, dense.config.aux_loss_weight);
  const Model loose = dense_model(experts + "false", "qwen3_moe");
  EXPECT_LE(relative_error(logits_on_ids(upcycled(loose, slices(2, 2))), logits_on_ids(loose)), kFloat32);
  EXPECT_EQ(expect_error<Error>([&] { require_upcyclable(loose, copies(4, 2), "it"); }, "do not sum to 1"),
            "slices do: --slices N in place of --experts");
  EXPECT_EQ(expect_error<UsageError>([&] { require_upcyclable(dense, copies(4, 3), "it"); }, "chooses 2 modules"),
            "the same number for all: --k 2");
  const Model narrow = dense_model(
      R"(,"num_experts":4,"num_experts_per_tok":2,"moe_intermediate_size":12,"head_dim":4,"mlp_only_layers":[1],
         "norm_topk_prob":true)",
      "qwen3_moe");
  expect_error<UsageError>([&] { require_upcyclable(narrow, copies(4, 2), "it"); }, "12 wide; these would be 24");
  require_upcyclable(narrow, slices(2, 2), "it");
}

TEST(Upcycled, IsOfTheFamilyThatHoldsAllThatItIs) {
  EXPECT_EQ(settled(golden_family("llama"), copies(4, 2)).config.family, "mixtral");
  EXPECT_EQ(settled(golden_family("llama"), slices(4, 2)).config.family, "mixtral");
  EXPECT_EQ(settled(golden_family("mistral"), copies(4, 2)).config.family, "mixtral");
  EXPECT_EQ(settled(dense_model(R"(,"head_dim":4)", "qwen3"), copies(4, 2)).config.family, "qwen3_moe");
  const Model biased = settled(golden_family("qwen2"), copies(4, 2));
  EXPECT_EQ(family_that_holds(biased.config), std::nullopt) << "no family has its biases of attention";
  const std::string hint = expect_error<Error>([&] { hub_config_json(biased.config); }, "no qwen2 checkpoint any more");
  EXPECT_NE(hint.find("--for transformers"), std::string::npos);
}

TEST(Upcycled, IsWrittenAsMixtralAndReadBackWithTheSameLogits) {
  const TemporaryFolder folder;
  for (const UpcyclePlan& plan : {copies(4, 2), slices(4, 4)}) {
    const Model model = settled(dense_model(), plan);
    const std::string name = plan.form == UpcycleForm::copies ? "copies" : "slices";
    save_hub_model(folder / name, model, {});
    const Model read = load_hub_model(open_hub_folder(folder / name));
    EXPECT_EQ(read.config.family, "mixtral");
    EXPECT_TRUE(logits_on_ids(read).equal(logits_on_ids(model)));
  }
}

TEST(Upcycled, FewerSlicesHaveTheWeightsOfAllTheirGatesTogether) {
  Model model = clone(upcycled(dense_model(), slices(4, 2)));
  const at::Tensor before = model.blocks[0].mlp.modules[0].out.clone();
  choose_slices(model, {0, 1, 2}, 3);
  choose_slices(model, {0, 1, 2}, 2);
  EXPECT_EQ(model.blocks[2].mlp.k, 2);
  EXPECT_EQ(model.config.k_mlp, 2);
  EXPECT_LE(relative_error(model.blocks[0].mlp.modules[0].out, before * 0.5), kFloat32) << "gates are 1/2, not 1/4";
}

TEST(Upcycled, NoiseTellsCopiesApartAndIsDecidedByTheSeed) {
  const Model exact = upcycled(dense_model(), copies(3, 2));
  Model noisy = exact, again = exact, other = exact;
  add_noise(noisy, {0, 1}, 0.02, 7);
  add_noise(again, {0, 1}, 0.02, 7);
  add_noise(other, {0, 1}, 0.02, 8);
  const auto in_of = [](const Model& model, int layer, int i) { return model.blocks[layer].mlp.modules[i].in; };
  EXPECT_TRUE(in_of(exact, 0, 0).equal(in_of(exact, 0, 1)));
  EXPECT_FALSE(in_of(noisy, 0, 0).equal(in_of(noisy, 0, 1)));
  EXPECT_TRUE(in_of(noisy, 0, 0).equal(in_of(again, 0, 0)));
  EXPECT_FALSE(in_of(noisy, 0, 0).equal(in_of(other, 0, 0)));
  EXPECT_TRUE(in_of(noisy, 2, 0).equal(in_of(exact, 2, 0))) << "a layer that was not named";
  const double share = ((in_of(noisy, 0, 0) - in_of(exact, 0, 0)).std() / in_of(exact, 0, 0).std()).item<double>();
  EXPECT_NEAR(share, 0.02, 0.002);
}

TEST(Upcycled, KnowsWhatItsModulesAreMadeOf) {
  Model dense = dense_model();  // eight slices of 3
  for (std::size_t i = 0; i < 8; ++i) dense.blocks[1].mlp.modules[i].uid = std::string(1, static_cast<char>('a' + i));
  EXPECT_EQ(sources_of(dense, copies(4, 2), 1, 3), "a,b,c,d,e,f,g,h");
  EXPECT_EQ(sources_of(dense, slices(8, 2), 1, 3), "d");
  EXPECT_EQ(sources_of(dense, slices(4, 2), 1, 3), "g,h");
  EXPECT_EQ(sources_of(dense, slices(6, 2), 1, 0), "a,b") << "4 units: 3 of one and 1 of the next";
}

TEST(Upcycled, RefusesWhatCouldNotBeKept) {
  const Model dense = dense_model();
  const auto refused = [&](const Model& model, const UpcyclePlan& plan, const std::string& what) {
    return expect_error<Error>([&] { require_upcyclable(model, plan, "it"); }, what);
  };
  const auto misused = [&](const UpcyclePlan& plan, const std::string& what) {
    return expect_error<UsageError>([&] { require_upcyclable(dense, plan, "it"); }, what);
  };
  misused(copies(1, 1), "between 2 and 1024");
  misused(copies(2'000'000'000'000, 1), "between 2 and 1024");
  EXPECT_EQ(misused(copies(4, 5), "--k is 5"), "for example --k 2");
  EXPECT_EQ(misused(slices(5, 2), "can't be cut into 5"), "a number that divides the width, for example --slices 4");
  misused(slices(48, 2), "can't be cut into 48");
  refused(upcycled(dense, copies(4, 2)), copies(4, 2), "has a router already");
  refused(golden_family("mixtral"), copies(4, 2), "has a router already");
  refused(golden_family("llama_biases"), copies(4, 2), "have biases");
  refused(golden_family("qwen2_moe"), slices(2, 2), "other layers of it have routers");
  Model routed = dense;
  routed.config.form.att_routed = true, routed.config.gate_type = GateType::mlp;
  refused(routed, copies(4, 2), "routers of the type mlp already");
  Model frozen = dense;
  frozen.blocks[1].mlp.modules[2].frozen = true;
  EXPECT_EQ(refused(frozen, copies(4, 2), "layer 1 of it has frozen modules"), "mformer unfreeze kind=mlp");
}

}  // namespace
}  // namespace mformer
