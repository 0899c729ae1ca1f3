#include "core/text/tokenizer.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <random>
#include <thread>

#include "modules_registry/error.h"

namespace mformer {
namespace {

Tokenizer small_tokenizer(const char* name = "codegen.json") {
  return Tokenizer::load(std::filesystem::path(MFORMER_TEST_DATA) / "tokenizer" / name);
}

/// The definition of BPE, without any cleverness: through the whole word once for every merge.
std::vector<int32_t> merge_naively(const Tokenizer& tokenizer, const std::string& word,
                                   const std::vector<std::pair<std::string, std::string>>& merges) {
  std::vector<std::string> parts;
  for (const char byte : word) parts.emplace_back(1, byte);
  for (const auto& [left, right] : merges) {
    for (size_t at = 0; at + 1 < parts.size(); ++at) {
      if (parts[at] != left || parts[at + 1] != right) continue;
      parts[at] += right;
      parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(at) + 1);
    }
  }
  std::vector<int32_t> ids;
  for (const std::string& part : parts) ids.push_back(tokenizer.id_of(part).value());
  return ids;
}

TEST(TokenizerTest, EveryByteStringComesBack) {
  const Tokenizer tokenizer = small_tokenizer();
  std::mt19937 random(11);
  for (int round = 0; round < 2000; ++round) {
    std::string bytes(random() % 60, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random() % 3 == 0 ? random() % 256 : 32 + random() % 95);
    ASSERT_EQ(tokenizer.decode(tokenizer.encode(bytes)), bytes) << ::testing::PrintToString(bytes);
  }
}

TEST(TokenizerTest, AnIllFormedByteIsItsOwnTokenBetweenTextsThatStandAlone) {
  const Tokenizer tokenizer = small_tokenizer();
  std::vector<int32_t> expected = tokenizer.encode("the license ");
  expected.push_back(tokenizer.encode("\xFF").at(0));
  expected.push_back(tokenizer.encode("\xC3").at(0));
  const auto rest = tokenizer.encode(" terms");
  expected.insert(expected.end(), rest.begin(), rest.end());
  EXPECT_EQ(tokenizer.encode("the license \xFF\xC3 terms"), expected);
}

TEST(TokenizerTest, LongWordsAreMergedByTheSameRuleAsShortOnes) {
  // Ambiguous on purpose: a, b, c, and merges that compete for the same letters.
  std::string vocab = R"("a":0,"b":1,"c":2,"ab":3,"bc":4,"aa":5,"aab":6,"abab":7,"bca":8)";
  const std::vector<std::pair<std::string, std::string>> merges = {{"b", "c"},   {"a", "b"},  {"a", "a"},
                                                                   {"ab", "ab"}, {"a", "ab"}, {"bc", "a"}};
  std::string list;
  for (const auto& [left, right] : merges) list += (list.empty() ? "" : ",") + ("\"" + left + " " + right + "\"");
  const auto tokenizer = Tokenizer::from_json(
      R"({"model":{"type":"BPE","vocab":{)" + vocab + R"(},"merges":[)" + list +
          R"(]},"pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false},"decoder":{"type":"ByteLevel"}})",
      "test");
  std::mt19937 random(3);
  for (size_t length = 1; length < 400; length += 3) {
    std::string word(length, 'a');
    for (char& letter : word) letter = static_cast<char>('a' + random() % 3);
    ASSERT_EQ(tokenizer.encode(word), merge_naively(tokenizer, word, merges)) << word;
  }
}

TEST(TokenizerTest, AMegabyteOfOneLetterOrOfSpacesIsNoProblem) {
  const Tokenizer tokenizer = small_tokenizer("small.json");
  for (const char unit : {'a', ' ', '\n', '!', '7'}) {
    const std::string text(1'000'000, unit);
    EXPECT_EQ(tokenizer.decode(tokenizer.encode(text)), text);
  }
}

TEST(TokenizerTest, ManyThreadsMayEncodeAtOnce) {
  const Tokenizer tokenizer = small_tokenizer();
  const std::string text = "Licensed under the Apache License, Version 2.0  (the \"License\")";
  const auto expected = tokenizer.encode(text);
  std::vector<std::jthread> threads;
  std::atomic<int> wrong = 0;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&] {
      for (int round = 0; round < 200; ++round) wrong += tokenizer.encode(text) != expected ? 1 : 0;
    });
  }
  threads.clear();
  EXPECT_EQ(wrong, 0);
}

TEST(TokenizerTest, DecodeLeavesOutIdsThatAreNoToken) {
  const Tokenizer tokenizer = small_tokenizer();
  auto ids = tokenizer.encode("the");
  ids.insert(ids.begin(), {-1, tokenizer.vocab_size(), 1 << 30});
  EXPECT_EQ(tokenizer.decode(ids), "the");
  EXPECT_FALSE(tokenizer.contains(-1));
  EXPECT_FALSE(tokenizer.contains(tokenizer.vocab_size()));
  EXPECT_TRUE(tokenizer.contains(tokenizer.vocab_size() - 1));
}

TEST(TokenizerTest, SavingGivesTheSameBytesAndTheSameHash) {
  const Tokenizer tokenizer = small_tokenizer();
  const auto file = std::filesystem::path(::testing::TempDir()) / "saved_tokenizer.json";
  tokenizer.save(file);
  const Tokenizer again = Tokenizer::load(file);
  EXPECT_EQ(again.to_json(), tokenizer.to_json());
  EXPECT_EQ(again.hash(), tokenizer.hash());
  EXPECT_NE(small_tokenizer("small.json").hash(), tokenizer.hash());
  std::filesystem::remove(file);
}

TEST(TokenizerTest, NamesItsEndOfText) {
  EXPECT_EQ(small_tokenizer().end_of_text(), 0);
  EXPECT_EQ(small_tokenizer().id_of("<|endoftext|>"), 0);
  EXPECT_EQ(small_tokenizer().id_of("no such token"), std::nullopt);
}

TEST(TokenizerTest, AMissingFileIsAnErrorThatNamesIt) {
  try {
    Tokenizer::load("/nowhere/tokenizer.json");
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("/nowhere/tokenizer.json"), std::string::npos);
  }
}

}  // namespace
}  // namespace mformer
