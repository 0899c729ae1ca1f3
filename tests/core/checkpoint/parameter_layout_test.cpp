#include "core/checkpoint/parameter_layout.h"

#include <algorithm>
#include <map>

#include "tests/core/checkpoint/hub_test_model.h"

namespace mformer {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsSupersetOf;
using ::testing::Pair;

using Shapes = std::map<std::string, std::vector<std::int64_t>>;

Shapes shapes(const ModelConfig& config) {
  Shapes result;
  for (const ParameterSpec& parameter : parameter_layout(config)) result[parameter.name] = parameter.shape;
  return result;
}

TEST(ParameterLayout, OfAnMlpRouterModelHasTheNamesOfTheReference) {
  ModelConfig config = two_layer_config();
  config.n_layer = 1;
  EXPECT_THAT(
      shapes(config),
      ElementsAre(
          Pair("lm_head.weight", ElementsAre(11, 4)), Pair("transformer.h.0.attn.k_proj.bias", ElementsAre(2)),
          Pair("transformer.h.0.attn.k_proj.weight", ElementsAre(2, 4)),
          Pair("transformer.h.0.attn.q_proj.experts.weight", ElementsAre(3, 4, 2)),
          Pair("transformer.h.0.attn.q_proj.gate.w_gate.0.bias", ElementsAre(5)),
          Pair("transformer.h.0.attn.q_proj.gate.w_gate.0.weight", ElementsAre(5, 4)),
          Pair("transformer.h.0.attn.q_proj.gate.w_gate.3.weight", ElementsAre(3, 5)),
          Pair("transformer.h.0.attn.q_proj.output_experts.weight", ElementsAre(3, 2, 4)),
          Pair("transformer.h.0.attn.v_proj.bias", ElementsAre(2)),
          Pair("transformer.h.0.attn.v_proj.weight", ElementsAre(2, 4)),
          Pair("transformer.h.0.ln_1.bias", ElementsAre(4)), Pair("transformer.h.0.ln_1.weight", ElementsAre(4)),
          Pair("transformer.h.0.ln_2.bias", ElementsAre(4)), Pair("transformer.h.0.ln_2.weight", ElementsAre(4)),
          Pair("transformer.h.0.mlpf.experts.weight", ElementsAre(4, 4, 3)),
          Pair("transformer.h.0.mlpf.gate.w_gate.0.bias", ElementsAre(5)),
          Pair("transformer.h.0.mlpf.gate.w_gate.0.weight", ElementsAre(5, 4)),
          Pair("transformer.h.0.mlpf.gate.w_gate.3.weight", ElementsAre(4, 5)),
          Pair("transformer.h.0.mlpf.output_experts.weight", ElementsAre(4, 3, 4)),
          Pair("transformer.ln_f.bias", ElementsAre(4)), Pair("transformer.ln_f.weight", ElementsAre(4)),
          Pair("transformer.wte.weight", ElementsAre(11, 4))));
}

TEST(ParameterLayout, FollowsRouterCountsTyingAndIdentityKeys) {
  ModelConfig config = two_layer_config();
  config.gate_type = GateType::gmm;
  EXPECT_THAT(shapes(config),
              IsSupersetOf({Pair("transformer.h.1.mlpf.gate.w_gate.weight", std::vector<std::int64_t>{5, 4}),
                            Pair("transformer.h.1.mlpf.gate.expert_centroids", std::vector<std::int64_t>{4, 5}),
                            Pair("transformer.h.1.mlpf.gate.temperature", std::vector<std::int64_t>{1})}));
  config.gate_type = GateType::linear;
  config.set_expert_counts({3, 2}, {4, 6});
  EXPECT_THAT(shapes(config),
              IsSupersetOf({Pair("transformer.h.1.mlpf.gate.w_gate.0.weight", std::vector<std::int64_t>{6, 4}),
                            Pair("transformer.h.1.attn.q_proj.experts.weight", std::vector<std::int64_t>{2, 4, 2})}));
  config.tie_word_embeddings = true;
  config.att_hidden = 4;
  EXPECT_FALSE(shapes(config).contains("lm_head.weight"));
  EXPECT_FALSE(shapes(config).contains("transformer.h.0.attn.k_proj.weight"));
}

TEST(ParameterLayout, OfInt8ModulesHasAScaleForEachOutputChannel) {
  ModelConfig config = two_layer_config();
  const auto before = shapes(config);
  config.quantization = "int8";
  auto after = shapes(config);
  EXPECT_EQ(after["transformer.h.1.attn.q_proj.experts.weight_scale"], (std::vector<std::int64_t>{3, 2}));
  EXPECT_EQ(after["transformer.h.1.attn.q_proj.output_experts.weight_scale"], (std::vector<std::int64_t>{3, 4}));
  EXPECT_EQ(after["transformer.h.0.mlpf.experts.weight_scale"], (std::vector<std::int64_t>{4, 3}));
  EXPECT_EQ(after["transformer.h.0.mlpf.output_experts.weight_scale"], (std::vector<std::int64_t>{4, 4}));
  EXPECT_EQ(after.size(), before.size() + 8);
  for (const ParameterSpec& parameter : parameter_layout(config)) {
    const bool matrix = parameter.name.ends_with("experts.weight"), scale = parameter.name.ends_with("weight_scale");
    EXPECT_EQ(parameter.type, matrix ? ParameterType::codes : scale ? ParameterType::scale : ParameterType::floating);
  }
}

std::string complaint(const ModelConfig& config, const std::vector<OwnedTensor>& tensors) {
  const TestFolder scratch;
  write_hub_folder(scratch / "m", config, to_write(tensors));
  return error_of([&] { check_parameters(open_hub_folder(scratch / "m")); });
}

TEST(CheckParameters, AcceptsACompleteModelWithTheBuffersOfTheReference) {
  std::mt19937 random(5);
  auto tensors = random_weights(two_layer_config());
  EXPECT_EQ(complaint(two_layer_config(), tensors), "");
  tensors.push_back(random_tensor("transformer.h.0.attn.mask", DType::I8, {4, 4}, random));
  tensors.push_back(random_tensor("transformer.h.0.attn.cum_weight", DType::F32, {4, 4}, random));
  EXPECT_EQ(complaint(two_layer_config(), tensors), "");
}

TEST(CheckParameters, ATiedHeadMayBePresentOrNot) {
  ModelConfig config = two_layer_config();
  auto tensors = random_weights(config);  // with a head
  config.tie_word_embeddings = true;
  EXPECT_EQ(complaint(config, tensors), "");
  tensors.pop_back();
  EXPECT_EQ(complaint(config, tensors), "");
}

TEST(CheckParameters, WantsCodesAndScalesWhereTheConfigSaysInt8AndOnlyThere) {
  ModelConfig config = two_layer_config();
  const auto floating = random_weights(config);
  config.quantization = "int8";
  std::vector<OwnedTensor> tensors;
  std::mt19937 random(7);
  for (const ParameterSpec& parameter : parameter_layout(config)) {
    const DType dtype = parameter.type == ParameterType::codes ? DType::I8 : DType::F32;
    tensors.push_back(random_tensor(parameter.name, dtype, parameter.shape, random));
    if (parameter.type != ParameterType::scale) continue;
    const float scale = 0.25;
    for (std::size_t at = 0; at < tensors.back().bytes.size(); at += sizeof scale) {
      std::memcpy(tensors.back().bytes.data() + at, &scale, sizeof scale);
    }
  }
  EXPECT_EQ(complaint(config, tensors), "");
  EXPECT_THAT(complaint(config, floating), HasSubstr("q_proj.experts.weight' is stored as F32"));
  EXPECT_THAT(complaint(two_layer_config(), tensors), HasSubstr("q_proj.experts.weight' is stored as I8"));
  std::erase_if(tensors, [](const OwnedTensor& tensor) { return tensor.name.ends_with("mlpf.experts.weight_scale"); });
  EXPECT_THAT(complaint(config, tensors), HasSubstr("mlpf.experts.weight_scale' is missing"));
}

TEST(CheckParameters, NamesTheMissingTheUnknownAndTheMisshapen) {
  std::mt19937 random(6);
  const ModelConfig config = two_layer_config();
  auto missing = random_weights(config);
  missing.erase(missing.begin());
  EXPECT_THAT(complaint(config, missing), HasSubstr("'transformer.wte.weight' is missing"));

  auto unknown = random_weights(config);
  unknown.push_back(random_tensor("transformer.h.2.ln_1.weight", DType::F32, {4}, random));
  EXPECT_THAT(complaint(config, unknown), HasSubstr("'transformer.h.2.ln_1.weight' is no parameter"));

  auto misshapen = random_weights(config);
  misshapen[0] = random_tensor("transformer.wte.weight", DType::F32, {4, 11}, random);
  EXPECT_THAT(complaint(config, misshapen), HasSubstr("has the shape [4, 11], but config.json asks for [11, 4]"));

  auto integers = random_weights(config);
  integers[0] = random_tensor("transformer.wte.weight", DType::I32, {11, 4}, random);
  EXPECT_THAT(complaint(config, integers), HasSubstr("is stored as I32"));
}

}  // namespace
}  // namespace mformer
