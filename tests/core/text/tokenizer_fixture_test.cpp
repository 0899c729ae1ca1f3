// Against what the Python package made of the same texts: tests/data/tokenizer/record.py.
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "core/text/tokenizer.h"
#include "core/text/utf8.h"
#include "modules_registry/files.h"

namespace mformer {
namespace {

const std::filesystem::path kFolder = std::filesystem::path(MFORMER_TEST_DATA) / "tokenizer";
using Ids = std::vector<int32_t>;

const nlohmann::json& expected() {
  static const auto document = nlohmann::json::parse(read_file(kFolder / "expected.json"));
  return document;
}

class TokenizerFixtureTest : public ::testing::TestWithParam<const char*> {
 protected:
  const std::vector<std::string> texts_ = expected().at("texts").get<std::vector<std::string>>();
  const nlohmann::json& record_ = expected().at("files").at(GetParam());
  const Tokenizer tokenizer_ = Tokenizer::load(kFolder / GetParam());
};

TEST_P(TokenizerFixtureTest, EncodesTokenForTokenLikeThePackage) {
  ASSERT_GT(texts_.size(), 300U);
  for (size_t at = 0; at < texts_.size(); ++at) {
    EXPECT_EQ(tokenizer_.encode(texts_[at]), record_.at("ids").at(at).get<Ids>()) << ::testing::PrintToString(texts_[at]);
  }
}

TEST_P(TokenizerFixtureTest, EncodesSpecialTokensAsTextLikeThePackageWhenAsked) {
  for (size_t at = 0; at < texts_.size(); ++at) {
    EXPECT_EQ(tokenizer_.encode(texts_[at], {.special_as_text = true}),
              record_.at("ids_special_as_text").at(at).get<Ids>())
        << ::testing::PrintToString(texts_[at]);
  }
}

TEST_P(TokenizerFixtureTest, DecodesLikeThePackage) {
  for (size_t at = 0; at < texts_.size(); ++at) {
    const auto ids = record_.at("ids").at(at).get<Ids>();
    EXPECT_EQ(tokenizer_.decode(ids), record_.at("decoded").at(at).get<std::string>());
    EXPECT_EQ(tokenizer_.decode(ids, {.skip_special = true}),
              record_.at("decoded_without_special").at(at).get<std::string>());
    const std::span<const int32_t> half(ids.data(), ids.size() / 2);
    EXPECT_EQ(replace_invalid_utf8(tokenizer_.decode(half, {.skip_special = true})),
              record_.at("decoded_halves").at(at).get<std::string>());
  }
}

TEST_P(TokenizerFixtureTest, EncodesManyTextsOnThreadsLikeOneByOne) {
  const std::vector<std::string_view> views(texts_.begin(), texts_.end());
  const auto many = tokenizer_.encode_many(views, 3);
  ASSERT_EQ(many.size(), texts_.size());
  for (size_t at = 0; at < texts_.size(); ++at) EXPECT_EQ(many[at], record_.at("ids").at(at).get<Ids>());
}

INSTANTIATE_TEST_SUITE_P(Files, TokenizerFixtureTest,
                         ::testing::Values("small.json", "prefix_space.json", "codegen.json", "split_sequence.json"),
                         [](const auto& each) {
                           const std::string name = each.param;
                           return name.substr(0, name.find('.'));
                         });

}  // namespace
}  // namespace mformer
