// The long tables of a tokenizer.json, read on the way.

#include "core/text/tokenizer_tables.h"

#include <gtest/gtest.h>

namespace mformer {
namespace {

using nlohmann::json;

constexpr std::int64_t kMost = 1000;

TEST(TokenizerTables, AreReadAndTheRestIsTheDocument) {
  const std::string text = R"({"version": "1.0", "added_tokens": [{"id": 0, "content": "a"}, [[]]], "decoder": null,
    "model": {"type": "BPE", "vocab": {"a": 0, "b": 2, "ab": 1}, "fuse_unk": false, "merges": ["#version: 0.2", "a b",
    ["ab", "b"]], "deep": {"vocab": {"x": -1}, "merges": [1]}}, "vocab": {"y": 1.5}, "merges": [{}]})";
  const auto tables = read_tokenizer_tables(text, kMost);
  ASSERT_TRUE(tables.has_value());
  EXPECT_EQ(tables->vocabulary, (TokenIds{{"a", 0}, {"b", 2}, {"ab", 1}}));
  EXPECT_EQ(tables->merges, (std::vector<std::pair<std::string, std::string>>{{"a", "b"}, {"ab", "b"}}));
  json expected = json::parse(text);
  expected["model"].erase("vocab"), expected["model"].erase("merges");
  EXPECT_EQ(tables->rest, expected);
}

TEST(TokenizerTables, AreLeftToTheDocumentWhereSomethingIsOdd) {
  const auto model = [](const std::string& vocab, const std::string& merges) {
    return R"({"model": {"vocab": )" + vocab + R"(, "merges": )" + merges + "}}";
  };
  ASSERT_TRUE(read_tokenizer_tables(model(R"({"a": 0})", "[]"), kMost));
  const std::pair<const char*, const char*> odd[] = {{R"({"a": 0, "b": 0})", "[]"},
                                                     {R"({"a": 0, "a": 1})", "[]"},
                                                     {R"({"a": -1})", "[]"},
                                                     {R"({"a": 1.5})", "[]"},
                                                     {R"({"a": 1000})", "[]"},
                                                     {R"({"a": null})", "[]"},
                                                     {R"({"a": {}})", "[]"},
                                                     {R"({"a": []})", "[]"},
                                                     {R"({"a": "b"})", "[]"},
                                                     {"{}", "[]"},
                                                     {"[]", "[]"},
                                                     {R"({"a": 0})", "{}"},
                                                     {R"({"a": 0})", R"(["ab"])"},
                                                     {R"({"a": 0})", R"(["a b c"])"},
                                                     {R"({"a": 0})", R"([["a"]])"},
                                                     {R"({"a": 0})", "[1]"},
                                                     {R"({"a": 0})", R"([["a", 1]])"},
                                                     {R"({"a": 0})", R"([["a", "b", "c"]])"},
                                                     {R"({"a": 0})", "[{}]"},
                                                     {R"({"a": 0})", R"([["a", []]])"}};
  for (const auto& [vocab, merges] : odd) {
    EXPECT_FALSE(read_tokenizer_tables(model(vocab, merges), kMost)) << vocab << " " << merges;
  }
  const char* documents[] = {"",
                             "{",
                             "[]",
                             "{}",
                             R"({"model": {}})",
                             R"({"model": {"vocab": {"a": 0}}})",
                             R"({"model": {"vocab": {"a": 0}, "vocab": {"b": 0}, "merges": []}})",
                             R"({"model": {"vocab": {"a": 0}, "merges": [], "merges": []}})",
                             R"({"model": {"vocab": {"a": 0}, "merges": []}, "model": {}})",
                             R"({"model": {"vocab": {"a": 0}, "merges": []}} x)",
                             R"({"model": {"vocab": {"a": 1e999}, "merges": []}})"};
  for (const char* text : documents) EXPECT_FALSE(read_tokenizer_tables(text, kMost)) << text;
}

}  // namespace
}  // namespace mformer
