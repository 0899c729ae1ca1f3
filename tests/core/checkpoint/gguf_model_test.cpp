// Models in GGUF files against the folders of tests/data/golden-families that they were converted from by llama.cpp's
// own converter (tests/data/gguf/record_models.py).

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "core/checkpoint/gguf_elements.h"
#include "core/checkpoint/hub_model.h"
#include "core/checkpoint/hub_parameters.h"
#include "core/checkpoint/parameter_layout.h"
#include "core/families/gguf_model.h"
#include "core/formats/chat_format.h"
#include "modules_registry/files.h"
#include "tests/support/expect_error.h"
#include "tests/support/gguf_bytes.h"

namespace mformer {
namespace {

using testing::expect_error;
using ::testing::HasSubstr;

const std::filesystem::path kData = MFORMER_TEST_DATA;

std::filesystem::path converted(const std::string& name) {
  return kData / "gguf" / (name + ".gguf");
}

class GgufModelTest : public ::testing::TestWithParam<std::string> {
 protected:
  Model from_gguf() const { return load_hub_model(open_hub_folder(converted(GetParam()))); }
  Model from_folder() const { return load_hub_model(open_hub_folder(kData / "golden-families" / GetParam())); }
};

TEST_P(GgufModelTest, HasTheParametersOfTheFolderThatItWasMadeOfBitForBit) {
  Model model = from_gguf(), folder = from_folder();
  std::map<std::string, at::Tensor> expected;
  for_each_parameter(folder, [&](const ParameterRef& ref) { expected[ref.name] = *ref.tensor; });
  std::size_t compared = 0;
  for_each_parameter(model, [&](const ParameterRef& ref) {
    ASSERT_TRUE(expected.contains(ref.name)) << ref.name;
    EXPECT_TRUE(ref.tensor->equal(expected.at(ref.name))) << ref.name;
    EXPECT_TRUE(ref.tensor->scalar_type() == at::kFloat);
    ++compared;
  });
  EXPECT_GT(compared, 10U);
}

TEST_P(GgufModelTest, IsComputedAsTheFolderIs) {
  const ModelConfig model = from_gguf().config, folder = from_folder().config;
  // Three folders have what llama.cpp has not: dynamic positions and windows, a dense layer, biases.
  if (!std::set<std::string>{"qwen2", "qwen2_moe", "qwen3"}.contains(GetParam())) {
    EXPECT_EQ(model.form, folder.form) << model.form.to_json().dump() << "\n" << folder.form.to_json().dump();
    EXPECT_EQ(model.n_mlp_experts, folder.n_mlp_experts);
  }
  EXPECT_EQ(model.family, folder.family);
  EXPECT_EQ(model.n_head, folder.n_head);
  EXPECT_EQ(model.n_att_experts, folder.n_att_experts);
  EXPECT_EQ(model.k_mlp, folder.k_mlp);
  EXPECT_EQ(model.block_size, folder.block_size);
  EXPECT_EQ(model.vocab_size, folder.vocab_size);
  EXPECT_EQ(model.tie_word_embeddings, folder.tie_word_embeddings);
  EXPECT_EQ(model.activation_function, folder.activation_function);
}

INSTANTIATE_TEST_SUITE_P(Converted, GgufModelTest,
                         ::testing::Values("llama", "llama_biases", "mixtral", "granitemoe", "granitemoeshared",
                                           "olmoe", "qwen2", "qwen2_moe", "qwen3", "qwen3_moe"),
                         [](const auto& name) { return name.param; });

TEST(GgufRows, InterleavedRowsComeBackWholeAndInParts) {
  const at::Tensor rows = at::arange(4 * 6 * 3, at::kFloat).view({24, 3});  // four heads of six rows
  const at::Tensor stored = with_interleaved_rows(rows, 6);
  EXPECT_EQ(stored[1][0].item<float>(), rows[3][0].item<float>()) << "the second half's first row stands second";
  GgufBytes bytes;
  const at::Tensor flat = stored.contiguous().view({-1});
  bytes.floats("q", {3, 24}, {flat.const_data_ptr<float>(), flat.const_data_ptr<float>() + flat.numel()});
  const std::filesystem::path file = std::filesystem::temp_directory_path() / ("mformer-rows-" + random_uid());
  write_file_atomically(file, as_bytes(bytes.bytes()));
  const GgufFile opened = GgufFile::open(file);
  std::filesystem::remove(file);
  const HubFolder::StoredGguf q{&opened, opened.find("q")};
  for (std::int64_t first = 0; first < 24; ++first) {
    for (std::int64_t count = 1; count <= 24 - first; ++count) {
      EXPECT_TRUE(gguf_elements(q, 6, first * 3, {count, 3}).equal(rows.narrow(0, first, count)));
    }
  }
}

/// A model of one layer, whose parts a test may change.
struct SmallGguf {
  std::string architecture = "llama";
  float eps = 1e-5F;
  std::string extra_keys{};
  std::uint32_t type = 0;  ///< Of the matrices: F32 or F16.

  GgufBytes bytes(const std::function<void(GgufBytes&)>& change = {}) const {
    GgufBytes file;
    file.word("general.architecture", architecture);
    const auto key = [&](const char* name, std::uint32_t value) { file.whole(architecture + "." + name, value); };
    key("context_length", 64), key("embedding_length", 8), key("block_count", 1), key("feed_forward_length", 8);
    key("attention.head_count", 2), key("attention.head_count_kv", 2);
    file.number(architecture + ".attention.layer_norm_rms_epsilon", eps);
    if (change) change(file);
    add(file, "token_embd.weight", {8, 10});
    for (const char* name : {"blk.0.attn_q", "blk.0.attn_k", "blk.0.attn_v", "blk.0.attn_output", "blk.0.ffn_gate",
                             "blk.0.ffn_up", "blk.0.ffn_down"}) {
      add(file, std::string(name) + ".weight", {8, 8});
    }
    const float norm = type == 1 ? 0.5F : 1.25F;
    for (const char* name : {"blk.0.attn_norm", "blk.0.ffn_norm", "output_norm"}) {
      file.floats(std::string(name) + ".weight", {8}, std::vector<float>(8, norm));
    }
    return file;
  }

  void add(GgufBytes& file, const std::string& name, const std::vector<std::uint64_t>& shape) const {
    const std::size_t count = shape[0] * shape[1];
    if (type == 0) file.floats(name, shape, std::vector<float>(count, 0.125F));
    if (type == 1) file.tensor(name, shape, 1, std::string(count * 2, '\x30'));
  }
};

class GgufRefusals : public ::testing::Test {
 protected:
  GgufRefusals() : folder_(std::filesystem::temp_directory_path() / ("mformer-gguf-" + random_uid())) {
    std::filesystem::create_directory(folder_);
  }
  ~GgufRefusals() override { std::filesystem::remove_all(folder_); }

  std::filesystem::path write(const std::string& bytes, const char* name = "model.gguf") const {
    std::ofstream(folder_ / name, std::ios::binary) << bytes;
    return folder_ / name;
  }
  Model load(const std::string& bytes) const { return load_hub_model(open_hub_folder(write(bytes))); }
  std::string expect_refusal(const std::function<void(GgufBytes&)>& change, const std::string& what) const {
    return expect_error<Error>([&] { load(SmallGguf().bytes(change).bytes()); }, what);
  }

  std::filesystem::path folder_;
};

TEST_F(GgufRefusals, TheSmallModelItselfIsRead) {
  const Model model = load(SmallGguf().bytes().bytes());
  EXPECT_EQ(model.config.form.block_eps, 1e-5);
  EXPECT_TRUE(model.config.tie_word_embeddings);
  EXPECT_EQ(model.config.form.rotary.theta, 10'000);
}

TEST_F(GgufRefusals, AFileOfHalfPrecisionStaysOneWhereItsNormsFitInIt) {
  SmallGguf half;
  half.type = 1;
  EXPECT_TRUE(load(half.bytes().bytes()).wte.scalar_type() == at::kHalf);
  const std::string bytes = half.bytes([](GgufBytes& file) {
                                  file.floats("rope_freqs.weight", {2}, {1, 1});  // is no weight of the model
                                })
                                .bytes();
  EXPECT_TRUE(load(bytes).wte.scalar_type() == at::kHalf);
}

TEST_F(GgufRefusals, WhatWouldChangeTheComputationIsNamed) {
  const auto whole = [](const char* key, std::uint32_t value) {
    return [=](GgufBytes& file) { file.whole(key, value); };
  };
  expect_refusal(whole("llama.rope.dimension_count", 2), "2 of 4 numbers of a head");
  expect_refusal(whole("llama.attention.value_length", 2), "values have 2 numbers, keys 4");
  expect_refusal(whole("llama.attention.sliding_window", 32), "'llama.attention.sliding_window' is 32");
  expect_refusal(whole("llama.attention.something", 1), "'llama.attention.something' is unknown");
  expect_refusal(whole("llama.expert_gating_func", 2), "'llama.expert_gating_func' is 2");
  expect_refusal([](GgufBytes& file) { file.word("llama.rope.scaling.type", "longrope"); }, "'longrope'");
  expect_refusal([](GgufBytes& file) { file.number("llama.rope.scaling.attn_factor", 2); }, "attn_factor");
  expect_refusal([](GgufBytes& file) { file.truth("llama.rope.freq_base", true); },
                 "must be a number, not true or false");
  expect_refusal(
      [](GgufBytes& file) {
        file.floats("rope_freqs.weight", {2}, {3.7F, 1});
      },
      "in no way that mformer computes");
  expect_refusal([](GgufBytes& file) { file.floats("rope_freqs.weight", {2}, {1, std::nanf("")}); }, "in no way");
  expect_refusal([](GgufBytes& file) { file.floats("rope_freqs.weight", {3}, {1, 1, 1}); }, "each of 2 frequencies");
  expect_refusal([](GgufBytes& file) { file.number("llama.rope.freq_base", std::nanf("")); },
                 "'llama.rope.freq_base' is nan");
  expect_refusal(whole("llama.attention.key_length", 0), "its heads are 0 wide");
  expect_refusal([](GgufBytes& file) { file.floats("blk.0.attn_norm.bias", {8}, std::vector<float>(8)); },
                 "'blk.0.attn_norm.bias' is no parameter");
}

TEST_F(GgufRefusals, StretchedPositionsOfLlama31AreRecognised) {
  // Heads of four numbers: waves of 2π and 2π · 100; the second is longer than 64 / 1 tokens.
  const Model model = load(SmallGguf()
                               .bytes([](GgufBytes& file) {
                                 file.floats("rope_freqs.weight", {2}, {1, 8});
                               })
                               .bytes());
  EXPECT_EQ(model.config.form.rotary.kind, RotaryKind::llama3);
  EXPECT_EQ(model.config.form.rotary.factor, 8);
}

TEST_F(GgufRefusals, MetadataOfScalingIsRead) {
  const auto rotary = [&](const std::function<void(GgufBytes&)>& change) {
    return load(SmallGguf().bytes(change).bytes()).config.form.rotary;
  };
  const Rotary linear = rotary(
      [](GgufBytes& file) { file.word("llama.rope.scaling.type", "linear").number("llama.rope.scaling.factor", 4); });
  EXPECT_EQ(linear.kind, RotaryKind::linear);
  EXPECT_EQ(linear.factor, 4);
  const Rotary yarn = rotary([](GgufBytes& file) {
    file.word("llama.rope.scaling.type", "yarn").number("llama.rope.scaling.factor", 2);
    file.whole("llama.rope.scaling.original_context_length", 32);
  });
  EXPECT_EQ(yarn.kind, RotaryKind::yarn);
  EXPECT_EQ(yarn.original_context, 32);
  EXPECT_EQ(rotary([](GgufBytes& file) { file.word("llama.rope.scaling.type", "none"); }).kind, RotaryKind::plain);
}

TEST_F(GgufRefusals, MissingKeysTensorsAndArchitecturesAreNamed) {
  SmallGguf other;
  other.architecture = "gemma3";
  expect_error<Error>([&] { load(other.bytes().bytes()); }, "architecture 'gemma3'");
  GgufBytes vocabulary;
  vocabulary.word("general.architecture", "llama");
  EXPECT_THAT(expect_error<Error>([&] { load(vocabulary.bytes()); }, "no matrix 'token_embd.weight'"),
              HasSubstr("tokenizer alone"));
  expect_error<Error>([&] { load(GgufBytes().bytes()); }, "'general.architecture' is missing");
  GgufBytes bare;
  bare.word("general.architecture", "llama").floats("token_embd.weight", {8, 10}, std::vector<float>(80));
  expect_error<Error>([&] { load(bare.bytes()); }, "'llama.embedding_length' is missing");
  const std::string more =
      SmallGguf().bytes([](GgufBytes& file) { file.whole("llama.attention.key_length", 6); }).bytes();
  expect_error<Error>([&] { load(more); }, "'blk.0.attn_q.weight' has the shape [8, 8], but the metadata asks for");
}

TEST_F(GgufRefusals, TheChatTemplateIsKeptWithTheNamesOfItsTokensAndWrittenAgain) {
  const Model model = load(
      SmallGguf()
          .bytes([](GgufBytes& file) {
            file.word("tokenizer.chat_template", "{{ bos_token }}").words("tokenizer.ggml.tokens", {"<s>", "</s>"});
            file.whole("tokenizer.ggml.bos_token_id", 0).whole("tokenizer.ggml.eos_token_id", 1);
            file.whole("tokenizer.ggml.padding_token_id", 7);
          })
          .bytes());
  const auto format = chat_format_of(model.config);
  ASSERT_TRUE(format.has_value());
  EXPECT_EQ(format->template_text, "{{ bos_token }}");
  EXPECT_EQ(format->tokens, (std::map<std::string, std::string>{{"bos_token", "<s>"}, {"eos_token", "</s>"}}));
  EXPECT_EQ(std::get<std::string>(gguf_metadata(model.config).at("tokenizer.chat_template")), "{{ bos_token }}");
  expect_refusal([](GgufBytes& file) { file.whole("tokenizer.chat_template", 1); },
                 "'tokenizer.chat_template' is a whole number");
}

TEST_F(GgufRefusals, AFolderWithOneGgufModelStandsForIt) {
  write(SmallGguf().bytes().bytes());
  EXPECT_EQ(load_hub_model(open_hub_folder(folder_)).config.n_embd, 8);
  write(SmallGguf().bytes().bytes(), "other.gguf");
  EXPECT_THAT(expect_error<Error>([&] { open_hub_folder(folder_); }, "holds several GGUF models"),
              HasSubstr("name the file"));
}

}  // namespace
}  // namespace mformer
