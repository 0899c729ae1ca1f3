// What the readers of config.json make of spellings and of fields that interact.

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/families/family.h"
#include "modules_registry/error.h"

namespace mformer {
namespace {

using nlohmann::json;
using Layers = std::vector<std::int64_t>;

json small_config(const char* family) {
  return {{"model_type", family},     {"vocab_size", 50},
          {"hidden_size", 32},        {"num_hidden_layers", 4},
          {"num_attention_heads", 4}, {"num_key_value_heads", 2},
          {"intermediate_size", 16},  {"max_position_embeddings", 64},
          {"num_experts", 4},         {"num_local_experts", 4},
          {"num_experts_per_tok", 2}, {"moe_intermediate_size", 8},
          {"kv_channels", 8},         {"shared_expert_intermediate_size", 8}};
}

ModelConfig read_with(const char* family, const json& changes) {
  json config = small_config(family);
  config.update(changes);
  return read_hub_config(config.dump(), "config.json").config;
}

std::string refusal_of(const char* family, const json& changes) {
  try {
    read_with(family, changes);
  } catch (const Error& error) {
    return error.what();
  }
  return "read";
}

TEST(ConfigFields, AFieldThatHasTheNameOfOneOfOursIsNotTakenForIt) {
  const json ours = {{"n_layer", 9},
                     {"ffd_hidden", 48},
                     {"form", 3},
                     {"n_mlp_experts_per_layer", {1, 2, 3}},
                     {"n_att_experts_per_layer", {7}},
                     {"kept", 1}};
  const ModelConfig read = read_with("llama", ours);
  EXPECT_EQ(read.extra.value("kept", 0), 1);
  EXPECT_FALSE(read.extra.contains("ffd_hidden"));
  EXPECT_EQ(read_hub_config(read.to_native_json(), "own").config, read);
}

const json kWindow = {{"use_sliding_window", true}, {"sliding_window", 5}, {"max_window_layers", 3}};

TEST(ConfigFields, WindowsAreInTheLayersInWhichEachFamilyHasThem) {
  EXPECT_EQ(read_with("qwen2", kWindow).form.unwindowed_layers, (Layers{0, 1, 2}));
  EXPECT_EQ(read_with("qwen3", kWindow).form.unwindowed_layers, (Layers{0, 1, 2}));
  EXPECT_EQ(read_with("qwen2_moe", kWindow).form.unwindowed_layers, (Layers{1, 3}));
  EXPECT_EQ(read_with("qwen3_moe", kWindow).form.unwindowed_layers, Layers{});
  for (const char* family : {"qwen2", "qwen3", "qwen2_moe", "qwen3_moe"}) {
    EXPECT_EQ(read_with(family, kWindow).form.window, 5);
    EXPECT_EQ(read_with(family, {{"sliding_window", 5}}).form.window, 0) << "not used";
  }
  EXPECT_EQ(read_with("qwen2", {{"use_sliding_window", true}, {"sliding_window", 5}}).form.window, 0) << "28 and later";
}

TEST(ConfigFields, AListOfLayerTypesSaysWhichHaveTheWindow) {
  json changes = kWindow;
  changes["layer_types"] = {"sliding_attention", "full_attention", "sliding_attention", "full_attention"};
  const ModelConfig config = read_with("qwen3", changes);
  EXPECT_EQ(config.form.unwindowed_layers, (Layers{1, 3}));
  EXPECT_EQ(json::parse(hub_config_json(config))["layer_types"], changes["layer_types"]);
  changes["layer_types"] = {"sliding_attention"};
  EXPECT_NE(refusal_of("qwen3", changes).find("4 layers"), std::string::npos);
  changes["layer_types"] = {"chunked_attention", "full_attention", "full_attention", "full_attention"};
  EXPECT_NE(refusal_of("qwen3", changes).find("chunked_attention"), std::string::npos);
}

TEST(ConfigFields, AWindowThatIsNotMentionedIsTheFamilysOwn) {
  EXPECT_EQ(read_with("mistral", json::object()).form.window, 4096);
  EXPECT_EQ(read_with("mistral", {{"sliding_window", nullptr}}).form.window, 0);
  EXPECT_EQ(read_with("mixtral", json::object()).form.window, 0);
}

TEST(ConfigFields, AStretchedRotaryNeedsItsFactor) {
  for (const char* kind : {"linear", "dynamic", "llama3", "yarn"}) {
    const std::string why = refusal_of("llama", {{"rope_scaling", {{"type", kind}}}});
    EXPECT_NE(why.find("'factor' is missing"), std::string::npos) << why;
  }
  const ModelConfig yarn = read_with(
      "llama",
      {{"rope_parameters", {{"rope_type", "yarn"}, {"factor", nullptr}, {"original_max_position_embeddings", 16}}}});
  EXPECT_EQ(yarn.form.rotary.factor, 4) << "as much as the context grew";
}

TEST(ConfigFields, TheOlderSpellingOfRotaryPositionsWinsWhereBothStand) {
  const ModelConfig config = read_with("llama", {{"rope_scaling", {{"type", "linear"}, {"factor", 3.0}}},
                                                 {"rope_parameters", {{"rope_type", "default"}, {"rope_theta", 5.0}}}});
  EXPECT_EQ(config.form.rotary.kind, RotaryKind::linear);
  EXPECT_EQ(config.form.rotary.factor, 3);
}

TEST(ConfigFields, DynamicPositionsStartFromTheModelsContextWhateverElseStandsThere) {
  const json scaling = {{"type", "dynamic"}, {"factor", 2.0}, {"original_max_position_embeddings", 16}};
  EXPECT_EQ(read_with("llama", {{"rope_scaling", scaling}}).form.rotary.original_context, 64);
}

TEST(ConfigFields, ThetaIsTheFamilysWhereTheFileIsSilent) {
  EXPECT_EQ(read_with("mixtral", json::object()).form.rotary.theta, 1e6);
  EXPECT_EQ(read_with("llama", json::object()).form.rotary.theta, 1e4);
}

TEST(ConfigFields, JetMoesActivationHasTheNamesOfTheOthers) {
  EXPECT_EQ(read_with("jetmoe", {{"activation_function", "gelu_pytorch_tanh"}}).activation_function,
            ActivationFunction::gelu_new);
}

TEST(ConfigFields, NoSharedExpertIsMadeUp) {
  EXPECT_EQ(read_with("granitemoeshared", json::object()).form.shared_hidden, 0);
}

}  // namespace
}  // namespace mformer
