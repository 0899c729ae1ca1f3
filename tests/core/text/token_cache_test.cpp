// A little longer than other files: one cache, whose tests share the corpora that they write.

#include "core/text/token_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <nlohmann/json.hpp>

#include "modules_registry/error.h"
#include "modules_registry/files.h"
#include "tests/core/text/temporary_folder.h"

namespace mformer {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

Tokenizer small(const char* name = "codegen.json") {
  return Tokenizer::load(fs::path(MFORMER_TEST_DATA) / "tokenizer" / name);
}

/// 400 short documents, their times well in the past.
void write_corpus(const TemporaryFolder& folder, const std::string& salt = "") {
  std::string lines;
  for (int number = 0; number < 400; ++number) {
    lines += R"({"text": "document )" + std::to_string(number) + salt + R"("})" + "\n";
  }
  folder.write("data/a.jsonl", lines);
  fs::last_write_time(folder / "data/a.jsonl", fs::file_time_type::clock::now() - std::chrono::hours(1));
}

std::vector<fs::path> token_files(const TemporaryFolder& folder) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder / "cache")) {
    if (entry.path().extension() == ".tokens") files.push_back(entry.path());
  }
  return files;
}

std::vector<uint32_t> copy(std::span<const uint32_t> tokens) {
  return {tokens.begin(), tokens.end()};
}

TEST(TokenCacheTest, HoldsEveryDocumentInOrderInItsSplit) {
  const TemporaryFolder folder;
  write_corpus(folder);
  const Tokenizer tokenizer = small();
  const TokenCache cache = build_token_cache(folder / "data", tokenizer, folder / "cache");
  EXPECT_FALSE(cache.reused);
  EXPECT_EQ(cache.summary.documents, 400);
  EXPECT_GT(cache.validation.documents(), 0);
  std::map<Split, int64_t> seen;
  std::map<Split, int64_t> bytes;
  for_each_document(folder / "data", [&](const Document& document) {
    std::vector<uint32_t> expected;
    for (const int32_t id : tokenizer.encode(document.text)) expected.push_back(static_cast<uint32_t>(id));
    expected.push_back(static_cast<uint32_t>(tokenizer.end_of_text()));
    EXPECT_EQ(copy(cache.split(document.split()).document(seen[document.split()]++)), expected);
    bytes[document.split()] += static_cast<int64_t>(document.text.size());
  });
  for (const Split split : {Split::train, Split::validation, Split::held_out}) {
    EXPECT_EQ(cache.split(split).documents(), seen[split]);
    EXPECT_EQ(cache.split(split).text_bytes(), bytes[split]);
    EXPECT_EQ(cache.split(split).content_hash(), cache.summary.content_hash);
    EXPECT_EQ(cache.split(split).tokenizer_hash(), tokenizer.hash());
  }
  EXPECT_THROW(cache.train.document(-1), Error);
  EXPECT_THROW(cache.train.document(cache.train.documents()), Error);
}

TEST(TokenCacheTest, PromptTokensCarryTheNoLossBitAndTheEndOfTextDoesNot) {
  const TemporaryFolder folder;
  folder.write("qa.jsonl", R"({"question": "who?", "answer": "me"})");
  const Tokenizer tokenizer = small();
  const TokenCache cache = build_token_cache(folder / "qa.jsonl", tokenizer, folder / "cache");
  std::vector<uint32_t> expected;
  for (const int32_t id : tokenizer.encode("Q: who?\nA:"))
    expected.push_back(static_cast<uint32_t>(id) | TokenData::kNoLoss);
  for (const int32_t id : tokenizer.encode(" me")) expected.push_back(static_cast<uint32_t>(id));
  expected.push_back(0);
  std::vector<uint32_t> found;
  for (const Split split : {Split::train, Split::validation, Split::held_out}) {
    for (const uint32_t token : cache.split(split).tokens().all()) found.push_back(token);
  }
  EXPECT_EQ(found, expected);
}

TEST(TokenCacheTest, AnAnswerGoesOnItsPromptAndTheBeginTokenOfAModelStandsBeforeBothOnce) {
  const TemporaryFolder folder;
  folder.write("qa.jsonl", R"({"question": "who?", "answer": "me"})");
  const Tokenizer tokenizer = small("plain.model");
  const TokenCache cache = build_token_cache(folder / "qa.jsonl", tokenizer, folder / "cache");
  std::vector<int32_t> ids;
  for (const Split split : {Split::train, Split::validation, Split::held_out}) {
    for (const uint32_t token : cache.split(split).tokens().all()) {
      ids.push_back(static_cast<int32_t>(token & TokenData::kIdMask));
    }
  }
  std::vector<int32_t> expected = tokenizer.encode("Q: who?\nA: me", {.with_frame = true});
  expected.push_back(2);
  EXPECT_EQ(ids.front(), 1);
  EXPECT_EQ(ids, expected);
  folder.write("bare/tokenizer.model", read_file(fs::path(MFORMER_TEST_DATA) / "tokenizer" / "plain.model"));
  folder.write("bare/tokenizer_config.json", R"({"add_bos_token": false})");
  const Tokenizer bare = Tokenizer::load(folder / "bare/tokenizer.model");
  EXPECT_FALSE(build_token_cache(folder / "qa.jsonl", bare, folder / "cache").reused);
  EXPECT_TRUE(build_token_cache(folder / "qa.jsonl", tokenizer, folder / "cache").reused);
}

TEST(TokenCacheTest, IsReusedUntilTheContentOrTheTokenizerChanges) {
  const TemporaryFolder folder;
  write_corpus(folder);
  const auto build = [&](const Tokenizer& tokenizer) {
    return build_token_cache(folder / "data", tokenizer, folder / "cache");
  };
  EXPECT_FALSE(build(small()).reused);
  const TokenCache again = build(small());
  EXPECT_TRUE(again.reused);
  EXPECT_EQ(again.summary.documents, 400);
  EXPECT_FALSE(build(small("small.json")).reused);
  write_corpus(folder, "!");
  EXPECT_FALSE(build(small()).reused);
  write_corpus(folder);
  EXPECT_TRUE(build(small()).reused);  // the same content at another time
}

TEST(TokenCacheTest, TheLossOfAChatIsSwitchedWithItsTurns) {
  const auto tokens_of = [](const std::string& messages) {
    const TemporaryFolder folder;
    folder.write("a.jsonl", "{\"messages\": " + messages + "}");
    const TokenCache cache = build_token_cache(folder / "a.jsonl", small(), folder / "cache");
    for (const Split split : {Split::train, Split::validation}) {
      if (cache.split(split).documents() > 0) return cache.split(split).document(0);
    }
    return cache.held_out.document(0);
  };
  const Tokenizer tokenizer = small();
  std::vector<uint32_t> expected;
  const auto add = [&](const std::string& text, uint32_t loss) {
    for (const int32_t id : tokenizer.encode(text)) expected.push_back(static_cast<uint32_t>(id) | loss);
  };
  const auto end = static_cast<uint32_t>(tokenizer.end_of_text());
  const std::string answered = R"([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"})";
  add("User: a\nAssistant:", TokenData::kNoLoss);
  add(" b", 0);
  auto closed = expected;
  closed.push_back(end);
  EXPECT_EQ(tokens_of(answered + "]"), closed);
  add("\nUser: c", TokenData::kNoLoss);
  expected.push_back(end | TokenData::kNoLoss);
  EXPECT_EQ(tokens_of(answered + R"(, {"role": "user", "content": "c"}])"), expected);
}

TEST(TokenCacheTest, AFileThatIsCutWhileItIsOpenGivesAnErrorAndNoSignal) {
  const TemporaryFolder folder;
  write_corpus(folder);
  const TokenCache cache = build_token_cache(folder / "data", small(), folder / "cache");
  EXPECT_NO_THROW(cache.train.tokens().all());
  for (const fs::path& file : token_files(folder)) fs::resize_file(file, 300);
  EXPECT_THROW(cache.train.tokens().all(), Error);
  EXPECT_THROW(cache.train.document(1), Error);
}

TEST(TokenCacheTest, TheTokensOutliveTheText) {
  const TemporaryFolder folder;
  write_corpus(folder);
  const TokenCache made = build_token_cache(folder / "data", small(), folder / "cache");
  EXPECT_EQ(summarize_corpus(folder / "data", folder / "cache").content_hash, made.summary.content_hash);
  fs::remove_all(folder / "data");
  const auto found = cached_tokens(made.summary.content_hash, small(), folder / "cache");
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->train.tokens().all(), made.train.tokens().all());
  EXPECT_EQ(found->summary.documents, made.summary.documents);
  EXPECT_EQ(found->summary.text_bytes, made.summary.text_bytes);
  EXPECT_FALSE(cached_tokens(made.summary.content_hash, small("small.json"), folder / "cache").has_value());
  EXPECT_FALSE(cached_tokens(std::string(64, '0'), small(), folder / "cache").has_value());
  fs::resize_file(token_files(folder).front(), 300);
  EXPECT_FALSE(cached_tokens(made.summary.content_hash, small(), folder / "cache").has_value()) << "not whole";
}

TEST(TokenCacheTest, ADamagedFileIsMadeAnewWhereverTheDamageIs) {
  const TemporaryFolder folder;
  write_corpus(folder);
  const Tokenizer tokenizer = small();
  const auto good = copy(build_token_cache(folder / "data", tokenizer, folder / "cache").train.tokens().all());
  for (const fs::path& file : token_files(folder)) {
    const std::string bytes = read_file(file);
    std::vector<std::string> damaged = {"", bytes.substr(0, 100), bytes.substr(0, bytes.size() - 1), bytes + "x"};
    for (size_t at = 0; at < bytes.size(); at += bytes.size() / 23 + 1) {
      damaged.push_back(bytes);
      damaged.back()[at] = static_cast<char>(damaged.back()[at] ^ 0x40);
    }
    for (size_t at = 0; at < 256; at += 7) {
      damaged.push_back(bytes);
      damaged.back()[at] = '\x7F';
    }
    for (const std::string& content : damaged) {
      if (content == bytes) continue;
      std::ofstream(file, std::ios::binary) << content;
      ASSERT_THROW(TokenData::open(file), Error);
    }
    const TokenCache repaired = build_token_cache(folder / "data", tokenizer, folder / "cache");
    EXPECT_FALSE(repaired.reused);
    EXPECT_EQ(copy(repaired.train.tokens().all()), good);
    EXPECT_EQ(read_file(file), bytes);
  }
}

TEST(TokenCacheTest, LeavesNothingBehindWhenTheDataAreBroken) {
  const TemporaryFolder folder;
  write_corpus(folder);
  folder.write("data/b.jsonl", "not json\n");
  EXPECT_THROW(build_token_cache(folder / "data", small(), folder / "cache"), Error);
  EXPECT_TRUE(fs::is_empty(folder / "cache"));
}

TEST(TokenCacheTest, AnEmptySplitIsAnErrorWithAHintForThoseWhoNeedIt) {
  const TemporaryFolder folder;
  folder.write("one.txt", "one");  // its hash makes it training text
  const TokenCache cache = build_token_cache(folder / "one.txt", small(), folder / "cache");
  EXPECT_EQ(cache.require(Split::train).documents(), 1);
  EXPECT_EQ(cache.held_out.documents(), 0);
  try {
    cache.require(Split::held_out);
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("has no held_out document"));
    EXPECT_NE(error.hint(), "");
  }
}

TEST(TokenCacheTest, ATokenizerWithoutEndOfTextIsRefused) {
  const TemporaryFolder folder;
  folder.write("one.txt", "abc");
  const auto tokenizer = Tokenizer::from_json(
      R"({"model":{"vocab":{"a":0},"merges":[]},"pre_tokenizer":{"type":"ByteLevel"},"decoder":{"type":"ByteLevel"}})",
      "test");
  EXPECT_THROW(build_token_cache(folder.path(), tokenizer, folder / "cache"), Error);
  EXPECT_FALSE(fs::exists(folder / "cache"));
}

TEST(TokenCacheTest, ATemplateStandsAroundEachDocumentOnceAndItsOpeningCountsNoLoss) {
  auto file = nlohmann::json::parse(small().to_json());
  file["post_processor"] = nlohmann::json::parse(R"({"type": "TemplateProcessing",
    "single": [{"SpecialToken": {"id": "b"}}, {"Sequence": {"id": "A"}}, {"SpecialToken": {"id": "a"}}, {"SpecialToken": {"id": "e"}}],
    "special_tokens": {"b": {"ids": [7]}, "a": {"ids": [9]}, "e": {"ids": [0]}}})");
  const auto tokenizer = Tokenizer::from_json(file.dump(), "tokenizer.json");
  ASSERT_EQ(tokenizer.end_of_text(), 0);
  const auto written = tokenizer.decode(std::vector<int32_t>{7});
  const TemporaryFolder folder;
  folder.write("data/one.txt", "word");
  folder.write("data/two.txt", written + "word");
  const auto cache = build_token_cache(folder / "data", tokenizer, folder / "cache");
  std::vector<uint32_t> expected{7 | TokenData::kNoLoss};
  for (const int32_t id : tokenizer.encode("word")) expected.push_back(static_cast<uint32_t>(id));
  expected.insert(expected.end(), {9, 0});
  std::vector<std::vector<uint32_t>> documents;
  for (const Split split : {Split::train, Split::validation, Split::held_out}) {
    for (int64_t at = 0; at < cache.split(split).documents(); ++at) {
      const auto tokens = cache.split(split).document(at);
      documents.emplace_back(tokens.begin(), tokens.end());
    }
  }
  ASSERT_EQ(documents.size(), 2U);
  for (auto& document : documents) {
    document.front() |= TokenData::kNoLoss;  // where the text has it written out, it counts like the text
    EXPECT_EQ(document, expected);
  }
}

TEST(TokenCacheTest, ProgressNeverGoesBackAndEndsAtTheTotal) {
  const TemporaryFolder folder;
  write_corpus(folder);
  int64_t last = 0;
  int64_t all = -1;
  const auto watch = [&](int64_t done, int64_t total) {
    EXPECT_GE(done, last);
    EXPECT_LE(done, total);
    last = done;
    all = total;
  };
  build_token_cache(folder / "data", small(), folder / "cache", watch);
  EXPECT_EQ(last, all);
}

TEST(TokenCacheTest, WhatIsAtHandIsNotReadSoThereIsNoProgress) {
  const TemporaryFolder folder;
  const fs::path data = fs::path(MFORMER_TEST_DATA) / "sample/english";  // older than seconds, so that it is remembered
  EXPECT_FALSE(is_in_token_cache(data, small(), folder / "cache"));
  build_token_cache(data, small(), folder / "cache");
  const auto watch = [](int64_t, int64_t) { ADD_FAILURE() << "nothing was to be read"; };
  build_token_cache(data, small(), folder / "cache", watch);
  EXPECT_TRUE(is_in_token_cache(data, small(), folder / "cache"));
  EXPECT_FALSE(is_in_token_cache(folder / "nowhere", small(), folder / "cache"));
}

/// Enough for several batches of any few threads.
void write_large_corpus(const TemporaryFolder& folder) {
  std::string lines;
  for (int number = 0; number < 9000; ++number) {
    lines += R"({"text": "document )" + std::to_string(number) + R"("})" + "\n";
  }
  folder.write("data/a.jsonl", lines);
}

TEST(TokenCacheTest, HasTheSameFilesForEveryNumberOfThreads) {
  const TemporaryFolder folder;
  write_large_corpus(folder);
  const auto files_with = [&](int threads) {
    const fs::path cache = folder / ("cache" + std::to_string(threads));
    const TokenCache built = build_token_cache(folder / "data", small(), cache, {}, threads);
    EXPECT_EQ(built.train.documents() + built.validation.documents() + built.held_out.documents(), 9000);
    std::map<std::string, std::string> files;
    for (const auto& entry : fs::directory_iterator(cache)) {
      files[entry.path().filename().string()] = read_file(entry.path());
    }
    return files;
  };
  const auto serial = files_with(1);
  EXPECT_EQ(serial.size(), 3U);
  EXPECT_EQ(files_with(2), serial);
  EXPECT_EQ(files_with(5), serial);
}

TEST(TokenCacheTest, StopsWhenTheProgressThrowsAndLeavesNothingBehind) {
  const TemporaryFolder folder;
  write_large_corpus(folder);
  struct Stop {};
  const auto stop = [](int64_t done, int64_t total) {
    if (done > total * 4 / 5) throw Stop();
  };
  EXPECT_THROW(build_token_cache(folder / "data", small(), folder / "cache", stop, 2), Stop);
  EXPECT_TRUE(fs::is_empty(folder / "cache"));
}

TEST(TokenCacheTest, ACacheFolderThatCannotBeMadeIsAnError) {
  const TemporaryFolder folder;
  write_corpus(folder);
  folder.write("file", "in the way");
  EXPECT_THROW(build_token_cache(folder / "data", small(), folder / "file/cache"), Error);
}

}  // namespace
}  // namespace mformer
