// Files built as those of known families are, against what the Python package made of them:
// tests/data/tokenizer/record_families.py.
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "core/text/tokenizer.h"
#include "core/text/utf8.h"
#include "modules_registry/files.h"

namespace mformer {
namespace {

using nlohmann::json;

const json& families_record() {
  static const json kRecord =
      json::parse(read_file(std::filesystem::path(MFORMER_TEST_DATA) / "tokenizer" / "families.json"));
  return kRecord;
}

const json& family_named(const std::string& name) {
  for (const json& file : families_record().at("files")) {
    if (file.at("name") == name) return file;
  }
  throw std::out_of_range(name);
}

Tokenizer tokenizer_of(const json& family) {
  static const json kSmall =
      json::parse(read_file(std::filesystem::path(MFORMER_TEST_DATA) / "tokenizer" / "small.json"));
  json file = family.at("base") == "small" ? kSmall : json{{"model", families_record().at("pieces")}};
  file.update(family.at("fields"));
  file["model"].merge_patch(family.at("model"));
  return Tokenizer::from_json(file.dump(), "tokenizer.json");
}

class TokenizerFamiliesTest : public ::testing::TestWithParam<const char*> {
 protected:
  const json& record(const char* what, const char* otherwise) const {
    return family_.at(what).is_null() ? family_.at(otherwise) : family_.at(what);
  }

  const std::vector<std::string> texts_ = families_record().at("texts").get<std::vector<std::string>>();
  const json& family_ = family_named(GetParam());
  const Tokenizer tokenizer_ = tokenizer_of(family_);
};

TEST_P(TokenizerFamiliesTest, EncodesAndDecodesLikeThePackage) {
  ASSERT_GT(texts_.size(), 40U);
  for (size_t at = 0; at < texts_.size(); ++at) {
    SCOPED_TRACE(::testing::PrintToString(texts_[at]));
    const auto ids = tokenizer_.encode(texts_[at]);
    EXPECT_EQ(json(ids), family_.at("ids").at(at));
    EXPECT_EQ(json(tokenizer_.encode(texts_[at], {.with_frame = true})), record("framed", "ids").at(at));
    EXPECT_EQ(json(tokenizer_.encode(texts_[at], {.special_as_text = true})), record("as_text", "ids").at(at));
    EXPECT_EQ(tokenizer_.decode(ids), family_.at("decoded").at(at));
    EXPECT_EQ(tokenizer_.decode(ids, {.skip_special = true}), record("skipped", "decoded").at(at));
  }
}

// What a model writes is shown token by token.
TEST_P(TokenizerFamiliesTest, TokensThatGoOnOthersDecodeToTheRestOfTheText) {
  for (size_t at = 0; at < texts_.size(); ++at) {
    const auto ids = tokenizer_.encode(texts_[at]);
    std::string text;
    for (size_t next = 0; next < ids.size(); ++next) {
      text += tokenizer_.decode(std::span(&ids[next], 1), {.continues = next > 0});
    }
    EXPECT_EQ(text, family_.at("decoded").at(at)) << ::testing::PrintToString(texts_[at]);
  }
}

INSTANTIATE_TEST_SUITE_P(Each, TokenizerFamiliesTest,
                         ::testing::Values("smollm", "granite", "olmoe", "qwen2", "llama3", "llama2_old", "llama2_new",
                                         "llama2_normalized_specials", "mixtral", "phi3", "gemma", "words",
                                         "words_never", "first_after_split", "no_decoder", "few_bytes",
                                         "few_bytes_single", "unknown_fused", "unknown_single", "unknown_left_out",
                                         "ignore_merges", "merges_in_another_order"),
                         [](const auto& each) { return std::string(each.param); });

TEST(SentencePieceKindTest, BytesThatAreNoTextComeBackAsTheyWere) {
  const Tokenizer tokenizer = tokenizer_of(family_named("llama2_new"));
  std::string bytes = "a\xFF\xC3 b\xE4\xB8";
  for (int byte = 0; byte < 256; ++byte) bytes += static_cast<char>(byte);
  EXPECT_EQ(tokenizer.decode(tokenizer.encode(bytes)), bytes);
  const auto half = tokenizer.encode("\xE4\xB8");
  ASSERT_EQ(half.size(), 2U);
  EXPECT_EQ(half[0], tokenizer.id_of("<0xE4>"));
}

TEST(SentencePieceKindTest, ATextThatGoesOnAnotherHasNothingPutBeforeIt) {
  for (const char* name : {"llama2_old", "llama2_new", "words"}) {
    const Tokenizer tokenizer = tokenizer_of(family_named(name));
    const auto whole = tokenizer.encode("The answer is no");
    auto parts = tokenizer.encode("The answer");
    const auto rest = tokenizer.encode(" is no", {.continues = true});
    parts.insert(parts.end(), rest.begin(), rest.end());
    EXPECT_EQ(parts, whole) << name;
    EXPECT_EQ(tokenizer.decode(rest, {.continues = true}), " is no") << name;
  }
}

// Each would take minutes if a merge looked at the whole text again.
TEST(SentencePieceKindTest, LongTextsWithAndWithoutSpacesAreEncodedInLittleTime) {
  const Tokenizer tokenizer = tokenizer_of(family_named("llama2_old"));
  for (const char* piece : {"the", "the licence ", "中", " ", "\xFF"}) {
    std::string text;
    while (text.size() < 1U << 20U) text += piece;
    EXPECT_TRUE(tokenizer.decode(tokenizer.encode(text)) == text) << piece;
  }
}

}  // namespace
}  // namespace mformer
