#include "core/text/bpe_trainer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "core/text/byte_level.h"
#include "modules_registry/error.h"
#include "modules_registry/files.h"

namespace mformer {
namespace {

namespace fs = std::filesystem;

TextSource texts_of(std::vector<std::string> texts) {
  return [texts = std::move(texts)](const auto& learn) {
    for (const std::string& text : texts) learn(text);
  };
}

std::string license() {
  return read_file("LICENSE");
}

TEST(BpeTrainerTest, SpecialTokensComeFirstThenEveryByte) {
  const Tokenizer tokenizer =
      train_bpe(texts_of({"aa"}), {.vocab_size = 258, .special_tokens = {"<|endoftext|>", "<pad>"}});
  EXPECT_EQ(tokenizer.vocab_size(), 258);
  EXPECT_EQ(tokenizer.id_of("<|endoftext|>"), 0);
  EXPECT_EQ(tokenizer.id_of("<pad>"), 1);
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all += static_cast<char>(byte);
  EXPECT_EQ(tokenizer.decode(tokenizer.encode(all)), all);
  EXPECT_EQ(tokenizer.encode("<pad>"), std::vector<int32_t>{1});
}

TEST(BpeTrainerTest, TheMostFrequentPairIsMergedFirst) {
  const Tokenizer tokenizer = train_bpe(texts_of({"ab ab ab cd cd x"}), {.vocab_size = 259});
  EXPECT_EQ(tokenizer.id_of("ab"), 257);  // three times; c and d, Ġ and ab, Ġ and c twice
  EXPECT_EQ(tokenizer.id_of("cd"), 258);  // the smaller ids of the three
  EXPECT_EQ(tokenizer.id_of("Ġab"), std::nullopt);
}

TEST(BpeTrainerTest, OfEquallyFrequentPairsThatWithTheSmallerIdsIsMergedFirst) {
  const Tokenizer tokenizer = train_bpe(texts_of({"xy\nab\nmn\nxy\nab\nmn"}), {.vocab_size = 260});
  EXPECT_EQ(tokenizer.id_of("ab"), 257);
  EXPECT_EQ(tokenizer.id_of("mn"), 258);
  EXPECT_EQ(tokenizer.id_of("xy"), 259);
}

TEST(BpeTrainerTest, RunsOfOneLetterAreCountedAsTheyAreMerged) {
  const Tokenizer tokenizer = train_bpe(texts_of({"aaaa aaaa aaaaa"}), {.vocab_size = 300});
  EXPECT_EQ(tokenizer.encode("aaaa").size(), 1U);
  EXPECT_EQ(tokenizer.decode(tokenizer.encode("aaaaaaa")), "aaaaaaa");
}

TEST(BpeTrainerTest, RarePairsAreNotMergedSoTheVocabularyMayBeSmaller) {
  const Tokenizer tokenizer = train_bpe(texts_of({"ab ab ab cd"}), {.vocab_size = 1000, .min_frequency = 2});
  EXPECT_EQ(tokenizer.vocab_size(), 257 + 2);  // "ab" and " ab"
}

TEST(BpeTrainerTest, TheSameTextGivesTheSameFile) {
  const BpeTrainOptions options{.vocab_size = 700};
  EXPECT_EQ(train_bpe(texts_of({license()}), options).to_json(), train_bpe(texts_of({license()}), options).to_json());
}

TEST(BpeTrainerTest, ALearnedVocabularyMakesTextShorter) {
  const Tokenizer tokenizer = train_bpe(texts_of({license()}), {.vocab_size = 900});
  EXPECT_EQ(tokenizer.vocab_size(), 900);
  EXPECT_LT(tokenizer.encode(license()).size(), license().size() / 2);
  EXPECT_EQ(tokenizer.decode(tokenizer.encode(license())), license());
}

TEST(BpeTrainerTest, ALimitOfBytesTakesDocumentsFromAllOverTheFolder) {
  const fs::path folder = fs::path(::testing::TempDir()) / "bpe_sample";
  fs::create_directories(folder);
  for (char name = 'a'; name <= 'z'; ++name) {
    std::ofstream file(folder / std::string(1, name));
    for (int line = 0; line < 40; ++line) file << std::string(3, name) << '\n';
  }
  const Tokenizer part = train_bpe(folder, {.vocab_size = 1000, .max_bytes = 26 * 40});
  int early = 0;
  int late = 0;
  for (char name = 'a'; name <= 'z'; ++name) {
    (name <= 'm' ? early : late) += part.id_of(std::string(3, name)) ? 1 : 0;
  }
  fs::remove_all(folder);
  EXPECT_THAT(early, ::testing::AllOf(::testing::Ge(2), ::testing::Le(6)));
  EXPECT_THAT(late, ::testing::AllOf(::testing::Ge(2), ::testing::Le(6)));
}

TEST(BpeTrainerTest, OptionsOutOfRangeAreUsageErrors) {
  const auto source = texts_of({"text"});
  EXPECT_THROW(train_bpe(source, {.vocab_size = 256}), UsageError);
  EXPECT_THROW(train_bpe(source, {.vocab_size = -1}), UsageError);
  EXPECT_THROW(train_bpe(source, {.vocab_size = 2'000'000'000}), UsageError);
  EXPECT_THROW(train_bpe(source, {.min_frequency = 0}), UsageError);
  EXPECT_THROW(train_bpe(source, {.special_tokens = {"a", "a"}}), UsageError);
  EXPECT_THROW(train_bpe(source, {.special_tokens = {""}}), UsageError);
  EXPECT_THROW(train_bpe(source, {.special_tokens = {"a"}}), UsageError);
}

TEST(BpeTrainerTest, NoTextIsAnError) {
  EXPECT_THROW(train_bpe(texts_of({}), {}), Error);
}

TEST(ByteLevelTest, LettersAndBytesAreOneToOne) {
  for (int byte = 0; byte < 256; ++byte) {
    const std::string bytes(1, static_cast<char>(byte));
    EXPECT_EQ(from_byte_letters(to_byte_letters(bytes)), bytes);
  }
  EXPECT_EQ(to_byte_letters(" the\n"), "ĠtheĊ");
  EXPECT_EQ(from_byte_letters("a b"), std::nullopt);
}

}  // namespace
}  // namespace mformer
