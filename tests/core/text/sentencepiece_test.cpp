// Models of sentencepiece against what that library made of the same texts:
// tests/data/tokenizer/record_sentencepiece.py.
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "core/text/sentencepiece_json.h"
#include "core/text/tokenizer.h"
#include "modules_registry/error.h"
#include "modules_registry/files.h"
#include "tests/core/text/temporary_folder.h"

namespace mformer {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using Ids = std::vector<int32_t>;

const fs::path kModels = fs::path(MFORMER_TEST_DATA) / "tokenizer";

std::string bytes_of(const char* name) {
  return read_file(kModels / name);
}

std::string converted(const char* name, const SentencePieceSettings& settings = {}) {
  return sentencepiece_to_tokenizer_json(parse_sentencepiece_model(bytes_of(name), name), settings, name);
}

/// The error of reading these bytes as a model; "" if they are one.
std::string model_error(const std::string& bytes) {
  try {
    Tokenizer::from_json(sentencepiece_to_tokenizer_json(parse_sentencepiece_model(bytes, "m.model"), {}, "m.model"),
                         "m.model");
    return "";
  } catch (const Error& error) {
    return error.what();
  }
}

/// A field of bytes in the wire format, shorter than 128.
std::string wire(char number, const std::string& bytes) {
  return std::string{static_cast<char>(number << 3 | 2), static_cast<char>(bytes.size())} + bytes;
}

/// A field of a number below 128.
std::string wire(char number, int value) {
  return {static_cast<char>(number << 3), static_cast<char>(value)};
}

const std::string kBpe = wire(2, wire(3, 2));
const std::string kUnknown = wire(1, wire(1, "<unk>") + wire(3, 2));

class SentencePieceModelTest : public ::testing::TestWithParam<const char*> {};

TEST_P(SentencePieceModelTest, EncodesAndDecodesLikeTheLibrary) {
  const json record = json::parse(bytes_of("sentencepiece.json"));
  const auto texts = record.at("texts").get<std::vector<std::string>>();
  ASSERT_GT(texts.size(), 80U);
  const Tokenizer tokenizer = Tokenizer::load(kModels / GetParam());
  for (size_t at = 0; at < texts.size(); ++at) {
    SCOPED_TRACE(::testing::PrintToString(texts[at]));
    const auto ids = record.at("files").at(GetParam()).at("ids").at(at).get<Ids>();
    EXPECT_EQ(tokenizer.encode(texts[at]), ids);
    EXPECT_EQ(tokenizer.decode(ids), record.at("files").at(GetParam()).at("decoded").at(at));
  }
}

INSTANTIATE_TEST_SUITE_P(Each, SentencePieceModelTest, ::testing::Values("plain.model", "named.model"),
                         [](const auto& each) { return std::string(each.param).substr(0, 5); });

TEST(SentencePieceJsonTest, TheBeginTokenStandsBeforeEachTextUnlessTheSettingsSayOtherwise) {
  const auto frame = [](const SentencePieceSettings& settings) {
    return Tokenizer::from_json(converted("plain.model", settings), "plain.model").frame();
  };
  EXPECT_EQ(frame({}).before, Ids{1});
  EXPECT_EQ(frame({}).after, Ids{});
  EXPECT_EQ(frame({.add_bos = false}).before, Ids{});
  EXPECT_EQ(frame({.bos = ""}).before, Ids{});
  EXPECT_EQ(frame({.add_eos = true}).after, Ids{2});
  EXPECT_EQ(frame({.bos = "</s>"}).before, Ids{2});
  EXPECT_THROW(frame({.bos = "<none>"}), Error);
}

TEST(SentencePieceJsonTest, ControlPiecesAreSpecialTokensInAText) {
  const Tokenizer tokenizer = Tokenizer::load(kModels / "named.model");
  const auto control = tokenizer.id_of("<ctl>");
  ASSERT_TRUE(control.has_value());
  EXPECT_EQ(tokenizer.encode("<ctl>"), Ids{*control});
  EXPECT_EQ(tokenizer.decode(Ids{*control}, {.skip_special = true}), "");
}

TEST(SentencePieceJsonTest, OnlyTheFirstStretchHasASpaceBeforeItWhereTheFileIsNotOfTheOlderKind) {
  const Tokenizer older = Tokenizer::from_json(converted("plain.model"), "older");
  const Tokenizer newer = Tokenizer::from_json(converted("plain.model", {.legacy = false}), "newer");
  const auto mark = older.encode("a <s>a");
  EXPECT_EQ(newer.encode("a"), older.encode("a"));
  EXPECT_EQ(older.decode(mark), "a <s> a");
  EXPECT_EQ(newer.decode(newer.encode("a <s>a")), "a <s>a");
  const Tokenizer bare = Tokenizer::from_json(converted("plain.model", {.add_prefix_space = false}), "bare");
  EXPECT_EQ(bare.encode("a").size(), 1U);
  EXPECT_EQ(bare.decode(bare.encode(" a")), " a");
}

TEST(SentencePieceJsonTest, TheFilesBesideTheModelDecideAboutItsIds) {
  const TemporaryFolder folder;
  const auto load = [&] { return Tokenizer::load(folder / "tokenizer.model"); };
  folder.write("tokenizer.model", bytes_of("plain.model"));
  const int32_t size = load().vocab_size();
  const auto id = std::to_string(size);
  folder.write("added_tokens.json", R"({"<user>": )" + id + "}");
  folder.write("special_tokens_map.json", R"({"additional_special_tokens": ["<user>"]})");
  EXPECT_EQ(load().encode("<user>"), Ids{size});
  EXPECT_EQ(load().decode(Ids{size}, {.skip_special = true}), "");
  folder.write("tokenizer_config.json", R"({"add_bos_token": false, "added_tokens_decoder": {
    "1": {"content": "<begin>", "special": true}, ")" +
                                            id + R"(": {"content": "<next>", "rstrip": true, "normalized": false}}})");
  EXPECT_EQ(load().frame().before, Ids{});
  EXPECT_EQ(load().encode("<begin><next>  "), (Ids{1, size}));
  EXPECT_EQ(load().id_of("<s>"), std::nullopt);
  EXPECT_EQ(load().id_of("<user>"), std::nullopt);
  folder.write("tokenizer_config.json",
               R"({"added_tokens_decoder": {")" + std::to_string(size + 5) + R"(": {"content": "<far>"}}})");
  EXPECT_THROW(load(), Error);
  for (const char* broken : {"[1]", "{", R"({"added_tokens_decoder": {"x": {"content": "a"}}})", R"({"legacy": 1})",
                             R"({"added_tokens_decoder": {"1": {"content": "</s>"}}})",
                             R"({"added_tokens_decoder": {"1": {"content": ""}}})"}) {
    folder.write("tokenizer_config.json", broken);
    EXPECT_THROW(load(), Error) << broken;
  }
}

TEST(SentencePieceJsonTest, TheConvertedFileIsTheTokenizerFromThenOn) {
  const Tokenizer loaded = Tokenizer::load(kModels / "plain.model");
  const Tokenizer again = Tokenizer::from_json(loaded.to_json(), "tokenizer.json");
  EXPECT_EQ(again.hash(), loaded.hash());
  EXPECT_EQ(again.encode("Hello there"), loaded.encode("Hello there"));
}

TEST(SentencePieceJsonTest, ModelsThatCantBeSaidAsMergesAreRefusedByName) {
  const auto names = [](const std::string& bytes, const char* what) {
    EXPECT_NE(model_error(bytes).find(what), std::string::npos) << model_error(bytes);
    EXPECT_NE(model_error(bytes).find("m.model"), std::string::npos);
  };
  EXPECT_EQ(model_error(kUnknown + kBpe), "");
  names(kUnknown, "not of the kind BPE");
  names(kUnknown + wire(2, wire(3, 1)), "not of the kind BPE");
  names(kUnknown + kBpe + wire(3, wire(2, "table")), "precompiled_charsmap");
  names(kUnknown + kBpe + wire(3, wire(5, 0)), "escape_whitespaces");
  names(kUnknown + kBpe + wire(1, wire(1, "a") + wire(3, 5)), "unused piece 'a'");
  names(kUnknown + kBpe + wire(1, wire(1, "a▁▁b") + wire(3, 4)), "removes extra spaces");
  names(kBpe, "holds no pieces");
  names(kUnknown + kUnknown + kBpe, "'<unk>' twice");
  names(wire(1, wire(3, 1)) + kBpe, "a piece without a name");
  names(wire(1, wire(1, "\xFF")) + kBpe, "no text");
  names(wire(1, wire(1, "a") + wire(3, 9)) + kBpe, "unknown type");
  names(wire(1, wire(1, "a")) + kBpe, "unk_token");
  names("IQ== 0\nIg== 1\n", "no model of sentencepiece");
  names("", "holds no pieces");
}

TEST(SentencePieceJsonTest, AModelThatIsCutOrDamagedAnywhereIsReadOrASentenceAndNeverACrash) {
  const std::string whole = bytes_of("named.model");
  EXPECT_EQ(model_error(whole), "");
  int refused = 0;
  const auto try_it = [&](const std::string& bytes) {
    const std::string error = model_error(bytes);
    if (error.empty()) return;
    ++refused;
    EXPECT_NE(error.find("m.model"), std::string::npos) << error;
  };
  for (size_t length = 0; length < whole.size(); length += 97) try_it(whole.substr(0, length));
  for (size_t at = 0; at < whole.size(); at += 101) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x55);
    try_it(damaged);
  }
  EXPECT_GT(refused, static_cast<int>(whole.size() / 97 / 2));  // of most lengths the end is missed
}

}  // namespace
}  // namespace mformer
