// config.json of every family with fields that are missing, of another type, out of range or absurd: each is read, or
// refused in a sentence of ours with a hint, and nothing is as large as a number in it says.

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <sstream>

#include "core/families/family.h"
#include "modules_registry/error.h"

namespace mformer {
namespace {

using nlohmann::json;

std::vector<json> hostile_values() {
  json nested = 1;
  for (int depth = 0; depth < 200; ++depth) nested = json::array({nested});
  json object = {{"rope_type", "yarn"}, {"factor", -1}, {"original_max_position_embeddings", 0}};
  return {nullptr,
          -1,
          0,
          1,
          2,
          3,
          7,
          1.5,
          -0.0,
          1e308,
          1e-308,
          4294967296,
          std::uint64_t{1} << 63U,
          2147483647,
          300,
          "",
          "8",
          std::string(5000, 'x'),
          "\xff\xfe",
          true,
          false,
          json::array(),
          json::object(),
          json::array({-1}),
          json::array({99999}),
          json::array({0, 0, 1}),
          json::array({"sliding_attention"}),
          json::array({nullptr}),
          nested,
          object,
          {{"rope_type", "dynamic"}, {"factor", 0}},
          {{"type", "longrope"}},
          {{"rope_type", "llama3"}, {"factor", 1e308}},
          {{"rope_type", "yarn"}, {"factor", 2}, {"rope_theta", 1}},
          {{"rope_type", 5}}};
}

/// Every field that some family reads.
std::vector<std::string> fields_of(const json& config) {
  std::vector<std::string> fields = {"head_dim",
                                     "rope_scaling",
                                     "rope_theta",
                                     "layer_types",
                                     "max_window_layers",
                                     "sliding_window",
                                     "use_sliding_window",
                                     "mlp_only_layers",
                                     "decoder_sparse_step",
                                     "num_experts",
                                     "num_local_experts",
                                     "moe_num_experts",
                                     "moe_top_k",
                                     "ffn_hidden_size",
                                     "torch_dtype",
                                     "quantization_config",
                                     "partial_rotary_factor",
                                     "shared_intermediate_size",
                                     "original_max_position_embeddings"};
  for (const auto& [field, value] : config.items()) fields.push_back(field);
  return fields;
}

class HostileConfig : public ::testing::TestWithParam<std::string> {
 protected:
  HostileConfig() {
    const auto file = std::filesystem::path(MFORMER_TEST_DATA) / "golden-families" / GetParam() / "config.json";
    std::ifstream stream(file);
    config_ = json::parse(stream);
  }

  /// What a reader of the checkpoint does before it looks at a tensor.
  static void expect_read_or_refused(const json& document) {
    const std::string text = document.dump(-1, ' ', false, json::error_handler_t::replace);
    try {
      const ModelConfig config = read_hub_config(text, "config.json").config;
      family_of(config.family, "test").tensors(config);
      hub_config_json(config);
    } catch (const Error& error) {
      EXPECT_GE(std::string(error.what()).size(), 20) << text.substr(0, 2000);
      EXPECT_LT(std::string(error.what()).size(), 400) << text.substr(0, 2000);
      EXPECT_FALSE(error.hint().empty()) << error.what() << '\n' << text.substr(0, 2000);
    }
  }

  json config_;
};

TEST_P(HostileConfig, IsReadOrRefusedFieldByField) {
  const std::vector<json> values = hostile_values();
  for (const std::string& field : fields_of(config_)) {
    json changed = config_;
    changed.erase(field);
    expect_read_or_refused(changed);
    for (const json& value : values) {
      changed[field] = value;
      expect_read_or_refused(changed);
    }
  }
}

TEST_P(HostileConfig, IsReadOrRefusedWithSeveralFieldsChanged) {
  const std::vector<json> values = hostile_values();
  const std::vector<std::string> fields = fields_of(config_);
  std::mt19937 random(5);
  for (int round = 0; round < 500; ++round) {
    json changed = config_;
    for (int change = 0; change < 3; ++change)
      changed[fields[random() % fields.size()]] = values[random() % values.size()];
    expect_read_or_refused(changed);
  }
}

TEST_P(HostileConfig, WhoseRotaryFieldsAreHostileIsReadOrRefused) {
  const std::vector<json> values = hostile_values();
  for (const char* kind : {"default", "linear", "dynamic", "llama3", "yarn"}) {
    for (const char* field : {"rope_theta", "factor", "low_freq_factor", "high_freq_factor", "beta_fast", "beta_slow",
                              "attention_factor", "mscale", "truncate", "original_max_position_embeddings", "x"}) {
      json changed = config_;
      changed["rope_parameters"] = {{"rope_type", kind}, {"factor", 2.0}};
      for (const json& value : values) {
        changed["rope_parameters"][field] = value;
        expect_read_or_refused(changed);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Families, HostileConfig,
                         ::testing::Values("granitemoe", "granitemoeshared", "jetmoe", "llama", "llama_biases",
                                           "mistral", "mixtral", "olmoe", "qwen2", "qwen2_moe", "qwen3", "qwen3_moe"),
                         [](const auto& instance) { return instance.param; });

}  // namespace
}  // namespace mformer
