#include "core/formats/model_config.h"

#include <cmath>
#include <functional>

#include "tests/core/formats/formats_test_support.h"

namespace mformer {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// As published beside MoLM-700M-8B, where some fields belong to older code and must survive.
constexpr const char* kPublished = R"({
  "_name_or_path": "./MoLM-700M-8B", "activation_function": "gelu_new", "architectures": ["ModuleFormerForCausalLM"],
  "att_func": "stickbreaking", "att_hidden": 1024, "attn_pdrop": 0, "aux_loss_type": "mi", "aux_loss_weight": 0,
  "block_size": 512, "bos_token_id": 50256, "embd_pdrop": 0, "eos_token_id": 50256, "ffd_hidden": 2048,
  "gate_type": "mlp", "gating_size": 256, "history_length": 512, "initializer_range": 0.02, "k_att": 2, "k_mlp": 2,
  "layer_norm_epsilon": 1e-05, "local_size": 1, "model_type": "moduleformer", "moe_pdrop": 0, "moe_type": "moe",
  "n_att_experts": 16, "n_ctx": 24576, "n_embd": 1024, "n_head": 1, "n_layer": 48, "n_mlp_experts": 32,
  "pre_norm": true, "resid_pdrop": 0, "sample_topk": 0, "tie_word_embeddings": false, "torch_dtype": "bfloat16",
  "transformers_version": "4.28.1", "universal": false, "use_cache": true, "vocab_size": 50295, "world_size": null})";

ModelConfig small_config() {
  return ModelConfig::from_json(R"({"vocab_size": 257, "n_embd": 32, "n_layer": 3, "n_head": 2, "att_hidden": 16,
      "ffd_hidden": 48, "gating_size": 24, "n_att_experts": 6, "n_mlp_experts": 8,
      "bos_token_id": 256, "eos_token_id": 256})",
                                "config.json");
}

TEST(ModelConfig, AbsentFieldsTakeTheDefaultsOfTheReference) {
  const auto config = ModelConfig::from_json("{}", "config.json");
  EXPECT_EQ(config, ModelConfig{});
  EXPECT_EQ(config.n_att_experts, 32);
  EXPECT_EQ(config.activation_function, ActivationFunction::gelu_new);
}

TEST(ModelConfig, ThePublishedConfigIsThePresetAndKeepsItsUnknownFields) {
  auto config = ModelConfig::from_json(kPublished, "config.json");
  EXPECT_EQ(config.extra["moe_type"], "moe");
  EXPECT_TRUE(config.extra["world_size"].is_null());
  json written = json::parse(config.to_json());
  EXPECT_EQ(written, json::parse(kPublished));
  config.extra = json::object();
  EXPECT_EQ(config, preset("molm-700m-8b"));
}

TEST(ModelConfig, TheWrittenFileNamesTypeArchitectureAndDtype) {
  const json written = json::parse(small_config().to_json());
  EXPECT_EQ(written["model_type"], "moduleformer");
  EXPECT_EQ(written["architectures"], json::array({"ModuleFormerForCausalLM"}));
  EXPECT_EQ(written["torch_dtype"], "float32");
  EXPECT_FALSE(written.contains("n_att_experts_per_layer"));
}

TEST(ModelConfig, ARoundTripKeepsEveryField) {
  auto config = small_config();
  config.set_expert_counts({6, 3, 4}, {8, 8, 8});
  config.tie_word_embeddings = true;
  config.moe_pdrop = 0.125;
  config.aux_loss_weight = 0.1;
  config.bos_token_id = -1;
  config.sample_topk = 1;
  config.extra["note"] = {{"nested", {1, 2}}};
  EXPECT_EQ(ModelConfig::from_json(config.to_json(), "config.json"), config);
}

TEST(ModelConfig, NewerTransformersCallTheDtypeJustDtype) {
  EXPECT_EQ(ModelConfig::from_json(R"({"dtype": "bfloat16"})", "c").torch_dtype, "bfloat16");
}

TEST(ModelConfig, SaysThatModulesAreInt8AndReadsItBack) {
  auto config = small_config();
  EXPECT_FALSE(json::parse(config.to_json()).contains("quantization_config"));
  const auto weights = config.parameter_count();
  config.quantization = "int8";
  EXPECT_EQ(json::parse(config.to_json())["quantization_config"],
            json::parse(R"({"quant_method": "mformer_int8", "weight_dtype": "int8", "scale": "per output channel"})"));
  const auto back = ModelConfig::from_json(config.to_json(), "config.json");
  EXPECT_EQ(back, config);
  EXPECT_FALSE(back.extra.contains("quantization_config"));
  EXPECT_EQ(back.parameter_count(), weights);
  EXPECT_FALSE(ModelConfig::from_json(R"({"quantization_config": null})", "c").is_quantized());
}

TEST(ModelConfig, RefusesWeightsThatAreQuantisedInAnotherWay) {
  for (const char* other :
       {R"({"quant_method": "gptq", "bits": 4})", R"({"quant_method": "mformer_int8"})", R"("int8")", "true", "[]",
        R"({"quant_method": "mformer_int8", "weight_dtype": "int8", "scale": "per tensor"})"}) {
    const std::string text = std::string(R"({"quantization_config": )") + other + "}";
    EXPECT_THAT(error_of([&] { ModelConfig::from_json(text, "dir/config.json"); }),
                StartsWith("dir/config.json: the weights are quantised in a way that is unknown: "))
        << other;
  }
}

TEST(ModelConfig, CountsPerLayerVanishWhereAllAreEqual) {
  auto config = small_config();
  config.set_expert_counts({5, 5, 5}, {8, 2, 7});
  EXPECT_TRUE(config.n_att_experts_per_layer.empty());
  EXPECT_EQ(config.n_att_experts, 5);
  EXPECT_EQ(config.n_mlp_experts, 8);
  EXPECT_EQ(config.n_att(2), 5);
  EXPECT_EQ(config.n_mlp(1), 2);
  config.validate();
}

TEST(ModelConfig, KeysAndValuesHaveNoProjectionOnlyForOneHeadAsWideAsTheModel) {
  EXPECT_TRUE(small_config().has_kv_projection());
  EXPECT_EQ(small_config().head_size(), 8);
  EXPECT_FALSE(preset("molm-350m-4b").has_kv_projection());
}

TEST(ModelConfig, ParameterCountsOfThePublishedModelsAreTheirNames) {
  const auto billions = [](std::int64_t count) { return static_cast<double>(count) / 1e9; };
  EXPECT_NEAR(billions(preset("molm-350m-4b").parameter_count()), 4.14, 0.01);
  EXPECT_NEAR(billions(preset("molm-700m-4b").parameter_count()), 4.14, 0.01);
  EXPECT_NEAR(billions(preset("molm-700m-8b").parameter_count()), 8.18, 0.01);
  EXPECT_NEAR(billions(preset("molm-350m-4b").active_parameter_count()), 0.35, 0.02);
  EXPECT_NEAR(billions(preset("molm-700m-4b").active_parameter_count()), 0.67, 0.02);
  EXPECT_NEAR(billions(preset("molm-700m-8b").active_parameter_count()), 0.68, 0.02);
}

TEST(ModelConfig, ActiveParametersOfASmallModelAreCountedByHand) {
  const std::int64_t router_att = 24 * 32 + 24 + 6 * 24, router_mlp = 24 * 32 + 24 + 8 * 24;
  const std::int64_t block = 4 * 32 + 2 * (16 * 32 + 16) + 2 * 2 * 32 * 16 + 2 * 2 * 32 * 48 + router_att + router_mlp;
  EXPECT_EQ(small_config().active_parameter_count(), 32 + 3 * block + 2 * 32 + 257 * 32);
}

TEST(ModelConfig, EveryPresetIsValidAndUnknownOnesAreAnswered) {
  for (const std::string& name : preset_names()) {
    const ModelConfig config = preset(name);
    config.validate(name);
    EXPECT_EQ(ModelConfig::from_json(config.to_json(), name), config);
  }
  EXPECT_THAT(error_of([] { preset("smal"); }), HasSubstr("there is no preset 'smal'"));
  EXPECT_THROW(preset(""), UsageError);
}

TEST(ModelConfig, AFileThatIsNoConfigIsRefused) {
  const auto refusal = [](const std::string& text) {
    return error_of([&] { ModelConfig::from_json(text, "dir/config.json"); });
  };
  EXPECT_THAT(refusal(""), StartsWith("dir/config.json: not valid JSON at byte 1"));
  EXPECT_THAT(refusal("{\"a\": \"\xff\"}"), HasSubstr("not valid JSON"));
  EXPECT_THAT(refusal("[]"), HasSubstr("not a JSON object"));
  EXPECT_THAT(refusal(R"({"n_embd": 1e999})"), HasSubstr("not valid JSON"));
  EXPECT_THAT(refusal(R"({"model_type": "llama"})"), HasSubstr("of type \"llama\", not \"moduleformer\""));
  EXPECT_THAT(refusal(R"({"model_type": 3})"), HasSubstr("of type 3"));
  EXPECT_THAT(refusal("{\"x\":" + std::string(100000, '[')), HasSubstr("nested too deeply"));
}

TEST(ModelConfig, AValueOfTheWrongTypeIsNamed) {
  const auto refusal = [](const std::string& field, const std::string& value) {
    return error_of([&] { ModelConfig::from_json("{\"" + field + "\": " + value + "}", "c"); });
  };
  EXPECT_EQ(refusal("n_embd", "\"64\""), "c: 'n_embd' must be a whole number, not \"64\"");
  EXPECT_EQ(refusal("n_embd", "64.5"), "c: 'n_embd' must be a whole number, not 64.5");
  EXPECT_EQ(refusal("n_embd", "null"), "c: 'n_embd' must be a whole number, not null");
  EXPECT_THAT(refusal("n_embd", "18446744073709551615"), HasSubstr("'n_embd' must be a whole number"));
  EXPECT_EQ(refusal("moe_pdrop", "true"), "c: 'moe_pdrop' must be a number, not true");
  EXPECT_EQ(refusal("use_cache", "1"), "c: 'use_cache' must be true or false, not 1");
  EXPECT_EQ(refusal("gate_type", "[]"), "c: 'gate_type' must be a string, not []");
  EXPECT_EQ(refusal("n_att_experts_per_layer", "5"),
            "c: 'n_att_experts_per_layer' must be a list of whole numbers, not 5");
  EXPECT_THAT(refusal("n_att_experts_per_layer", "[2.5]"), HasSubstr("must be a whole number, not 2.5"));
  EXPECT_THAT(refusal("n_embd", "\"" + std::string(500, 'x') + "\""), HasSubstr("xxx…"));
}

struct Impossible {
  std::function<void(ModelConfig&)> change;
  std::string sentence;
};

TEST(ModelConfig, EveryImpossibleValueHasItsSentenceAndAHint) {
  const std::vector<Impossible> cases{
      {[](ModelConfig& c) { c.vocab_size = 0; }, "'vocab_size' is 0"},
      {[](ModelConfig& c) { c.vocab_size = -5; }, "'vocab_size' is -5"},
      {[](ModelConfig& c) { c.block_size = 0; }, "'block_size' is 0"},
      {[](ModelConfig& c) { c.history_length = -1; }, "'history_length' is -1"},
      {[](ModelConfig& c) { c.n_embd = 0; }, "'n_embd' is 0"},
      {[](ModelConfig& c) { c.n_embd = 3'000'000'000; }, "'n_embd' is 3000000000"},
      {[](ModelConfig& c) { c.n_layer = 0; }, "'n_layer' is 0"},
      {[](ModelConfig& c) { c.n_layer = 2'000'000'000; }, "'n_layer' is 2000000000"},
      {[](ModelConfig& c) { c.n_head = 0; }, "'n_head' is 0"},
      {[](ModelConfig& c) { c.att_hidden = -16; }, "'att_hidden' is -16"},
      {[](ModelConfig& c) { c.ffd_hidden = 0; }, "'ffd_hidden' is 0"},
      {[](ModelConfig& c) { c.gating_size = 0; }, "'gating_size' is 0"},
      {[](ModelConfig& c) { c.quantization = "int3"; }, "'quantization' is 'int3'"},
      {[](ModelConfig& c) { c.n_head = 3; }, "'n_head' is 3, which does not divide 'att_hidden' (16)"},
      {[](ModelConfig& c) { c.n_att_experts = 0; }, "'n_att_experts' is 0"},
      {[](ModelConfig& c) { c.n_mlp_experts = 2'000'000'000; }, "'n_mlp_experts' is 2000000000"},
      {[](ModelConfig& c) { c.k_att = 0; }, "'k_att' is 0"},
      {[](ModelConfig& c) { c.k_att = 7; }, "'k_att' is 7, more than the 6 modules of 'n_att_experts'"},
      {[](ModelConfig& c) { c.k_mlp = 9; }, "'k_mlp' is 9, more than the 8 modules of 'n_mlp_experts'"},
      {[](ModelConfig& c) {
         c.n_att_experts_per_layer = {6, 6};
       },
       "has 2 entries for 3 layers"},
      {[](ModelConfig& c) {
         c.n_mlp_experts_per_layer = {8, 1, 8};
       },
       "layer 1 has 1 mlp modules, fewer than 'k_mlp'"},
      {[](ModelConfig& c) {
         c.n_mlp_experts_per_layer = {8, -3, 8};
       },
       "layer 1 has -3 mlp modules"},
      {[](ModelConfig& c) {
         c.n_att_experts_per_layer = {5, 4, 5};
       },
       "but the largest entry"},
      {[](ModelConfig& c) {
         c.n_att_experts_per_layer = {6, 9, 6};
       },
       "but the largest entry"},
      {[](ModelConfig& c) { c.sample_topk = 3; }, "'sample_topk' is 3"},
      {[](ModelConfig& c) { c.sample_topk = -1; }, "'sample_topk' is -1"},
      {[](ModelConfig& c) { c.torch_dtype = "float64"; }, "'torch_dtype' is 'float64'"},
      {[](ModelConfig& c) { c.resid_pdrop = 1.0; }, "'resid_pdrop' is 1"},
      {[](ModelConfig& c) { c.embd_pdrop = -0.1; }, "'embd_pdrop' is -0.1"},
      {[](ModelConfig& c) { c.attn_pdrop = 5; }, "'attn_pdrop' is 5"},
      {[](ModelConfig& c) { c.moe_pdrop = std::nan(""); }, "'moe_pdrop' is nan"},
      {[](ModelConfig& c) { c.aux_loss_weight = -1; }, "'aux_loss_weight' is -1"},
      {[](ModelConfig& c) { c.initializer_range = 1.0 / 0.0; }, "'initializer_range' is inf"},
      {[](ModelConfig& c) { c.eos_token_id = -2; }, "'eos_token_id' is -2"},
      {[](ModelConfig& c) { c.n_embd = 1'000'000, c.ffd_hidden = 1'000'000; }, "more than 2^40 parameters"},
      {[](ModelConfig& c) { c.vocab_size = c.n_embd = 2'000'000'000; }, "more than 2^40 parameters"},
      {[](ModelConfig& c) { c.gating_size = 2'000'000'000, c.n_mlp_experts = 1'000'000; }, "more than 2^40"},
      {[](ModelConfig& c) { c.n_mlp_experts = 100'000, c.ffd_hidden = 1; }, "300018 modules"},
  };
  small_config().validate();
  for (const Impossible& impossible : cases) {
    ModelConfig config = small_config();
    impossible.change(config);
    try {
      config.validate("dir/config.json");
      ADD_FAILURE() << "accepted: " << impossible.sentence;
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), StartsWith("dir/config.json: "));
      EXPECT_THAT(error.what(), HasSubstr(impossible.sentence));
      EXPECT_NE(error.hint(), "") << error.what();
    }
  }
}

TEST(ModelConfig, NamesAChoiceThatItDoesNotKnowAndThoseItDoes) {
  const std::pair<const char*, const char*> wrong[] = {
      {"gate_type", "topk"}, {"aux_loss_type", "MI"}, {"activation_function", "swish"}};
  for (const auto& [field, value] : wrong) {
    const std::string text = std::string("{\"") + field + "\": \"" + value + "\"}";
    EXPECT_THAT(error_of([&] { ModelConfig::from_json(text, "dir/config.json"); }),
                HasSubstr(std::string("'") + field + "' is '" + value + "', which is unknown"));
  }
  EXPECT_EQ(names_of<GateType>(), "mlp, linear, gmm");
}

TEST(ModelConfig, TakesWhatTransformersWritesForThingsNeverSaid) {
  const ModelConfig config = ModelConfig::from_json(
      R"({"model_type": "moduleformer", "torch_dtype": null, "bos_token_id": null})", "config.json");
  EXPECT_EQ(config.torch_dtype, "float32");
  EXPECT_EQ(config.bos_token_id, -1);
}

TEST(ModelConfig, LetsTokenIdsLieOutsideTheVocabularyAsTheReferenceDoes) {
  ModelConfig config = small_config();
  config.bos_token_id = 50256;
  EXPECT_NO_THROW(config.validate());
}

}  // namespace
}  // namespace mformer
