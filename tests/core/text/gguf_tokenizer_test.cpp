#include "core/text/gguf_tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "core/text/gguf_tokenizer_writer.h"
#include "core/text/tokenizer.h"
#include "modules_registry/error.h"
#include "modules_registry/files.h"
#include "tests/core/text/temporary_folder.h"
#include "tests/support/gguf_bytes.h"

namespace mformer {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Ids = std::vector<int32_t>;

const std::filesystem::path kTokenizers = std::filesystem::path(MFORMER_TEST_DATA) / "tokenizer";

/// Runs `work`, which must throw an Error whose sentence contains `what`. Returns the hint.
template <typename Work>
std::string refused(const Work& work, const std::string& what) {
  try {
    work();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr(what));
    return error.hint();
  }
  ADD_FAILURE() << "nothing was refused; expected: " << what;
  return "";
}

json read_json(const char* name) {
  return json::parse(read_file(kTokenizers / name));
}

/// Letters of bytes for "a", "b", "c", " ", digits; joined "ab", " a"; two control tokens and one of a user.
GgufMetadata byte_tokens(const std::string& pre) {
  std::vector<std::string> tokens = {"<|end|>", "a",  "b",  "c",  "Ġ",         "1",
                                     "2",       "ab", "Ġa", "12", "<|start|>", "two words"};
  std::vector<std::int64_t> types = {3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 3, 4};
  return {{"tokenizer.ggml.model", "gpt2"},
          {"tokenizer.ggml.pre", pre},
          {"tokenizer.ggml.tokens", tokens},
          {"tokenizer.ggml.token_type", types},
          {"tokenizer.ggml.bos_token_id", std::int64_t{10}},
          {"tokenizer.ggml.eos_token_id", std::int64_t{0}},
          {"tokenizer.ggml.merges", std::vector<std::string>{"a b", "Ġ a", "1 2"}}};
}

/// "<unk>", "<s>", "</s>", two bytes, and pieces with scores: "▁ab" is better than "bc".
GgufMetadata pieces() {
  std::vector<std::string> tokens = {"<unk>", "<s>", "</s>", "<0x0A>", "<0xC3>", "▁",     "a",
                                     "b",     "c",   "▁a",   "bc",     "▁ab",    "<user>"};
  std::vector<std::int64_t> types = {2, 3, 3, 6, 6, 1, 1, 1, 1, 1, 1, 1, 4};
  std::vector<double> scores = {0, 0, 0, 0, 0, -10, -11, -12, -13, -1, -3, -2, 0};
  return {{"tokenizer.ggml.model", "llama"},
          {"tokenizer.ggml.tokens", tokens},
          {"tokenizer.ggml.token_type", types},
          {"tokenizer.ggml.scores", scores},
          {"tokenizer.ggml.bos_token_id", std::int64_t{1}},
          {"tokenizer.ggml.eos_token_id", std::int64_t{2}}};
}

Tokenizer tokenizer_of(const GgufMetadata& metadata) {
  return Tokenizer::from_json(gguf_tokenizer_json(metadata, "model.gguf"), "model.gguf");
}

TEST(GgufTokenizer, ByteLettersAreCutByTheRulesThatTheFileNames) {
  EXPECT_THAT(tokenizer_of(byte_tokens("gpt-2")).encode("ab ab12"), ElementsAre(7, 4, 7, 9));
  EXPECT_THAT(tokenizer_of(byte_tokens("smollm")).encode("ab ab12"), ElementsAre(7, 4, 7, 5, 6)) << "digit by digit";
  EXPECT_THAT(tokenizer_of(byte_tokens("llama-bpe")).encode("12"), ElementsAre(9));
  EXPECT_THAT(tokenizer_of(byte_tokens("qwen2")).encode("12"), ElementsAre(5, 6));
}

TEST(GgufTokenizer, ControlTokensAreSpecialAndTokensOfUsersAreTakenWhole) {
  const Tokenizer tokenizer = tokenizer_of(byte_tokens("gpt-2"));
  EXPECT_THAT(tokenizer.encode("a<|start|>btwo wordsc"), ElementsAre(1, 10, 2, 11, 3));
  EXPECT_EQ(tokenizer.decode(Ids{1, 10, 11}, {.skip_special = true}), "atwo words");
}

TEST(GgufTokenizer, TokensAroundATextAreThoseThatTheFileAsksFor) {
  GgufMetadata metadata = byte_tokens("gpt-2");
  EXPECT_THAT(tokenizer_of(metadata).encode("a", {.with_frame = true}), ElementsAre(1));
  metadata["tokenizer.ggml.add_bos_token"] = true;
  metadata["tokenizer.ggml.add_eos_token"] = true;
  EXPECT_THAT(tokenizer_of(metadata).encode("a", {.with_frame = true}), ElementsAre(10, 1, 0));
  EXPECT_THAT(tokenizer_of(byte_tokens("llama-bpe")).encode("a", {.with_frame = true}), ElementsAre(10, 1))
      << "Llama 3 has a begin token unless the file says no";
  metadata.erase("tokenizer.ggml.bos_token_id");
  refused([&] { tokenizer_of(metadata); }, "'tokenizer.ggml.bos_token_id' names no token");
}

TEST(GgufTokenizer, SentencepieceJoinsByScoresAndFallsBackToBytes) {
  const Tokenizer tokenizer = tokenizer_of(pieces());
  EXPECT_THAT(tokenizer.encode("abc"), ElementsAre(11, 8)) << "▁ab is better than bc";
  EXPECT_THAT(tokenizer.encode("bc"), ElementsAre(5, 10));
  EXPECT_THAT(tokenizer.encode("a\n", {.with_frame = true}), ElementsAre(1, 9, 3));
  EXPECT_THAT(tokenizer.encode("<user>"), ElementsAre(12));
  GgufMetadata bare = pieces();
  bare["tokenizer.ggml.add_space_prefix"] = false;
  bare["tokenizer.ggml.add_bos_token"] = false;
  EXPECT_THAT(tokenizer_of(bare).encode("bc", {.with_frame = true}), ElementsAre(10));
}

TEST(GgufTokenizer, UnusedTokensAtTheEndAreLeftOut) {
  GgufMetadata metadata = byte_tokens("gpt-2");
  std::get<std::vector<std::string>>(metadata["tokenizer.ggml.tokens"]).push_back("[PAD12]");
  std::get<std::vector<std::int64_t>>(metadata["tokenizer.ggml.token_type"]).push_back(5);
  EXPECT_EQ(tokenizer_of(metadata).vocab_size(), 12);
}

TEST(GgufTokenizer, WhatIsNotSupportedOrContradictsItselfIsNamed) {
  const auto refusal = [](GgufMetadata metadata, const char* key, const GgufValue& value, const std::string& what) {
    metadata[std::string("tokenizer.ggml.") + key] = value;
    return refused([&] { tokenizer_of(metadata); }, what);
  };
  const GgufMetadata bytes = byte_tokens("gpt-2");
  EXPECT_THAT(refusal(bytes, "pre", std::string("tekken"), "rules 'tekken'"), HasSubstr("--tokenizer FILE"));
  EXPECT_THAT(refusal(bytes, "pre", std::string("default"), "rules 'default'"), HasSubstr("--tokenizer FILE"));
  refusal(bytes, "model", std::string("t5"), "of the kind 't5'");
  refusal(bytes, "model", std::int64_t{1}, "'tokenizer.ggml.model' is a whole number");
  refusal(bytes, "tokens", std::vector<std::string>{}, "has no tokens");
  refusal(bytes, "tokens", std::vector<std::string>(12, "a"), "'a' is there twice");
  refusal(bytes, "token_type", std::vector<std::int64_t>{1}, "has 1 entries for 12 tokens");
  refusal(bytes, "token_type", std::vector<std::int64_t>(12, 7), "unknown type 7");
  refusal(bytes, "merges", std::vector<std::string>{"ab"}, "'ab' is not of two parts");
  refusal(bytes, "merges", std::vector<std::string>{"a x"}, "x");
  refusal(bytes, "add_space_prefix", true, "puts a space before each text");
  refusal(pieces(), "scores", std::vector<double>{1}, "has 1 entries for 13 tokens");
  refusal(pieces(), "precompiled_charsmap", std::vector<std::int64_t>{1}, "precompiled_charsmap");
}

TEST(GgufTokenizer, AGgufFileStandsForATokenizerJson) {
  GgufBytes file;
  file.word("general.architecture", "llama").word("tokenizer.ggml.model", "gpt2").word("tokenizer.ggml.pre", "gpt-2");
  file.words("tokenizer.ggml.tokens", {"a", "b", "ab"}).words("tokenizer.ggml.merges", {"a b"});
  TemporaryFolder folder;
  folder.write("vocabulary.gguf", file.bytes());
  EXPECT_THAT(Tokenizer::load(folder / "vocabulary.gguf").encode("abb"), ElementsAre(2, 1));
  folder.write("bare.gguf", GgufBytes().word("general.architecture", "llama").bytes());
  refused([&] { Tokenizer::load(folder / "bare.gguf"); }, "has no tokenizer");
}

std::string written_and_read(const Tokenizer& tokenizer, std::int64_t rows) {
  GgufMetadata metadata;
  put_gguf_tokenizer(tokenizer, {rows, -1, {}}, metadata);
  return gguf_tokenizer_json(metadata, "back.gguf");
}

/// Tokenizers of known families as tests/data/tokenizer/record_families.py made them. Without the
/// flags that GGUF can't say.
Tokenizer family_tokenizer(const json& record, const json& family) {
  json file = family.at("base") == "small" ? read_json("small.json") : json{{"model", record.at("pieces")}};
  file.update(family.at("fields"));
  file["model"].merge_patch(family.at("model"));
  for (json& token : file["added_tokens"]) token["single_word"] = token["lstrip"] = token["rstrip"] = false;
  return Tokenizer::from_json(file.dump(), "tokenizer.json");
}

TEST(GgufTokenizer, WhatIsWrittenIsReadAsTheSameTokenizer) {
  const json record = read_json("families.json");
  std::vector<std::string> held;
  for (const json& family : record.at("files")) {
    const Tokenizer tokenizer = family_tokenizer(record, family);
    try {
      const Tokenizer back = Tokenizer::from_json(written_and_read(tokenizer, tokenizer.vocab_size() + 3), "back.gguf");
      held.push_back(family.at("name"));
      for (const std::string text : record.at("texts")) {
        for (const bool framed : {false, true}) {
          EXPECT_EQ(back.encode(text, {.with_frame = framed}), tokenizer.encode(text, {.with_frame = framed})) << text;
        }
        EXPECT_EQ(back.decode(back.encode(text)), tokenizer.decode(tokenizer.encode(text))) << text;
      }
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), HasSubstr("a GGUF file can't hold this model's tokenizer")) << family.at("name");
    }
  }
  EXPECT_THAT(held, ElementsAre("smollm", "granite", "olmoe", "qwen2", "llama3"));
}

TEST(GgufTokenizer, MergesOfASentencepieceModelAreWrittenAsScores) {
  const Tokenizer tokenizer = Tokenizer::load(kTokenizers / "plain.model");
  const Tokenizer back = Tokenizer::from_json(written_and_read(tokenizer, tokenizer.vocab_size()), "back.gguf");
  for (const std::string text : read_json("sentencepiece.json").at("texts")) {
    EXPECT_EQ(back.encode(text, {.with_frame = true}), tokenizer.encode(text, {.with_frame = true})) << text;
  }
}

TEST(GgufTokenizer, MergesThatAreNoScoresAreRefused) {
  const json record = read_json("families.json");
  int tried = 0;
  for (const json& family : record.at("files")) {
    if (family.at("name") != "merges_in_another_order" && family.at("name") != "unknown_single") continue;
    ++tried;
    refused([&] { written_and_read(family_tokenizer(record, family), 2000); }, "can't hold this model's tokenizer");
  }
  EXPECT_EQ(tried, 2);  // the record has both
}

}  // namespace
}  // namespace mformer
