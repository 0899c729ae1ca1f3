// The parts of a tokenizer.json, and all code points, against what the Python package made of them:
// tests/data/tokenizer/record_dialect.py.
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <random>

#include "core/text/char_class.h"
#include "core/text/normalizer.h"
#include "core/text/pre_tokenizer.h"
#include "core/text/tokenizer.h"
#include "core/text/utf8.h"
#include "modules_registry/error.h"
#include "modules_registry/files.h"

namespace mformer {
namespace {

using nlohmann::json;

const std::filesystem::path kRecords = std::filesystem::path(MFORMER_TEST_DATA) / "tokenizer";

json read_record(const char* name) {
  return json::parse(read_file(kRecords / name));
}

/// small.json with other fields.
std::string with_fields(const json& fields) {
  static const json kSmall = read_record("small.json");
  json file = kSmall;
  file.update(fields);
  return file.dump();
}

std::string with_pattern(const std::string& pattern) {
  const json step = {{"type", "Split"}, {"pattern", {{"Regex", pattern}}}, {"behavior", "Isolated"}, {"invert", false}};
  const json last = {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}};
  return with_fields({{"pre_tokenizer", {{"type", "Sequence"}, {"pretokenizers", {step, last}}}}});
}

/// Every character but NUL.
const std::string& all_characters() {
  static const std::string kAll = [] {
    std::string text;
    for (char32_t each = 1; each < 0x110000; ++each) {
      if (each < 0xD800 || each > 0xDFFF) utf8_append(text, each);
    }
    return text;
  }();
  return kAll;
}

TEST(TokenizerDialectTest, EachPartOfAFileGivesTheIdsOfThePackageOrIsRefusedLikeThere) {
  const json record = read_record("dialect.json");
  const auto texts = record.at("texts").get<std::vector<std::string>>();
  ASSERT_GE(record.at("files").size(), 60U);
  for (const json& file : record.at("files")) {
    SCOPED_TRACE(file.at("name").get<std::string>());
    const std::string content = with_fields(file.at("fields"));
    if (!file.contains("ids")) {
      EXPECT_THROW(Tokenizer::from_json(content, "tokenizer.json"), Error);
      continue;
    }
    const Tokenizer tokenizer = Tokenizer::from_json(content, "tokenizer.json");
    for (size_t at = 0; at < texts.size(); ++at) {
      const auto ids = tokenizer.encode(texts[at], {.with_frame = true});
      EXPECT_EQ(json(ids), file.at("ids").at(at)) << texts[at];
      EXPECT_EQ(tokenizer.decode(ids), file.at("decoded").at(at)) << texts[at];
      const json& skipped = file.at("skipped").empty() ? file.at("decoded") : file.at("skipped");
      EXPECT_EQ(tokenizer.decode(ids, {.skip_special = true}), skipped.at(at)) << texts[at];
      const json& bare = file.at("bare").empty() ? file.at("ids") : file.at("bare");
      EXPECT_EQ(json(tokenizer.encode(texts[at])), bare.at(at)) << texts[at];
    }
  }
}

TEST(TokenizerDialectTest, RandomPatternsGiveTheIdsOfThePackageOrAreRefusedLikeThere) {
  const json record = read_record("dialect.json");
  const auto texts = record.at("short_texts").get<std::vector<std::string>>();
  int read = 0;
  for (const json& each : record.at("random")) {
    const auto pattern = each.at("pattern").get<std::string>();
    if (each.at("ids").is_null()) {
      EXPECT_THROW(Tokenizer::from_json(with_pattern(pattern), "tokenizer.json"), Error) << pattern;
      continue;
    }
    ++read;
    const Tokenizer tokenizer = Tokenizer::from_json(with_pattern(pattern), "tokenizer.json");
    for (size_t at = 0; at < texts.size(); ++at) {
      EXPECT_EQ(json(tokenizer.encode(texts[at])), each.at("ids").at(at)) << pattern << "\n" << texts[at];
    }
  }
  EXPECT_GE(read, 80);
}

TEST(UnicodeTest, ClassesOfPatternsHoldTheCharactersOfThePackage) {
  Regex::Scratch scratch;
  for (const auto& [pattern, hash] : read_record("unicode.json").at("classes").items()) {
    std::string members;
    Regex(pattern + "+").for_each_match(all_characters(), scratch, [&](Regex::Match match) {
      members += all_characters().substr(match.begin, match.end - match.begin);
    });
    EXPECT_EQ(sha256_hex(members), hash) << pattern;
  }
}

TEST(UnicodeTest, NormalFormsOfAllCharactersAloneAndBetweenMarksAreThoseOfThePackage) {
  std::string each;
  std::string probed;
  for (std::string_view rest = all_characters(); !rest.empty(); rest.remove_prefix(utf8_length(rest))) {
    const std::string letter(rest.substr(0, utf8_length(rest)));
    each += (each.empty() ? "" : " ") + letter;
    probed += "a" + letter + "\u0316\u0301 \u0301" + letter + "\u0316";
  }
  using Form = Normalizer::Form;
  std::map<std::string, Normalizer> forms;
  forms["NFC"].add_form(Form::nfc);
  forms["NFD"].add_form(Form::nfd);
  forms["NFKC"].add_form(Form::nfkc);
  forms["NFKD"].add_form(Form::nfkd);
  forms["Lowercase"].add_lowercase();
  forms["StripAccents"].add_strip_accents();
  Regex::Scratch scratch;
  const json record = read_record("unicode.json");
  for (const auto& [name, normalizer] : forms) {
    std::string memory;
    EXPECT_EQ(sha256_hex(normalizer.apply(each, TextPlace::at_start, memory, scratch)),
              record.at("forms").at(name).at(0))
        << name;
    EXPECT_EQ(sha256_hex(normalizer.apply(probed, TextPlace::at_start, memory, scratch)),
              record.at("forms").at(name).at(1))
        << name;
  }
}

TEST(UnicodeTest, StepsCutAllCharactersLikeThePackage) {
  using Behavior = PreTokenizer::Behavior;
  std::map<std::string, PreTokenizer> steps;
  steps["Digits"].add_split(&CharClass::numeric(), Behavior::isolated);
  steps["Punctuation"].add_split(&CharClass::punctuation(), Behavior::isolated);
  steps["Whitespace"].add_words_and_signs();
  steps["WhitespaceSplit"].add_split(&CharClass::space(), Behavior::removed);
  Regex::Scratch scratch;
  const json record = read_record("unicode.json");
  for (const auto& [name, step] : steps) {
    std::string pieces;
    step.for_each_word(all_characters(), TextPlace::at_start, scratch, [&](std::string_view word) {
      if (!pieces.empty()) pieces += '\0';
      pieces += word;
    });
    EXPECT_EQ(sha256_hex(pieces), record.at("steps").at(name)) << name;
  }
}

/// What a pattern cuts a text into.
std::vector<size_t> cuts_of(const Regex& pattern, std::string_view text, Regex::Scratch& scratch) {
  std::vector<size_t> cuts;
  pattern.for_each_match(text, scratch, [&](Regex::Match match) { cuts.insert(cuts.end(), {match.begin, match.end}); });
  return cuts;
}

TEST(FastPatternTest, Pcre2CutsEveryTextLikeOniguruma) {
  constexpr std::string_view kOften =
      "  \t\r\n''sStTlLrRvVeEdDmM019.,-_\u00a0\u0085\u180e\u200b\u3000\u017f\u212aÀéßжñ日한\u0301";
  std::vector<std::string> often;
  for (std::string_view rest = kOften; !rest.empty(); rest.remove_prefix(utf8_length(rest))) {
    often.emplace_back(rest.substr(0, utf8_length(rest)));
  }
  std::mt19937 random(5);
  Regex::Scratch scratch;
  for (const auto pattern : {kGpt2Pattern, kLlama3Pattern, kQwen2Pattern}) {
    ASSERT_TRUE(fast_pcre2_pattern(pattern).has_value());
    const Regex fast(pattern);
    const Regex exact(pattern, Regex::Library::oniguruma);
    EXPECT_EQ(cuts_of(fast, all_characters(), scratch), cuts_of(exact, all_characters(), scratch)) << pattern;
    for (int round = 0; round < 3000; ++round) {
      std::string text;
      for (size_t length = random() % 60; length > 0; --length) {
        if (random() % 4 != 0) {
          text += often[random() % often.size()];
        } else {
          const char32_t any = random() % 0x30000;
          utf8_append(text, any >= 0xD800 && any <= 0xDFFF ? U'x' : any);
        }
      }
      ASSERT_EQ(cuts_of(fast, text, scratch), cuts_of(exact, text, scratch)) << ::testing::PrintToString(text);
    }
  }
}

std::string failure_of(const std::string& pattern, const std::string& text) {
  try {
    Tokenizer::from_json(with_pattern(pattern), "tokenizer.json").encode(text);
    return "";
  } catch (const Error& error) {
    return error.what();
  }
}

TEST(RegexLimitsTest, PatternsThatNeedForEverOrAllMemoryEndInASentenceThatQuotesThem) {
  const std::string many(5000, 'a');
  for (const char* pattern : {"(a+)+b", "(?:a|aa)+[bc]", "(?:a{1,3}+)+[bc]"}) {
    const std::string failure = failure_of(pattern, many);
    EXPECT_NE(failure.find(pattern), std::string::npos) << failure;
  }
  EXPECT_NE(failure_of(std::string(200'000, 'a'), "a").find("longer than"), std::string::npos);
  EXPECT_NE(failure_of(std::string(50'000, '('), "a").find("is not a regular expression"), std::string::npos);
  EXPECT_LT(failure_of(std::string(50'000, '['), "a").size(), 1000U);
}

TEST(RegexLimitsTest, MatchesAreFoundWholeHoweverLongTheText) {
  Regex::Scratch scratch;
  std::string text;
  std::vector<size_t> hans;
  for (const size_t gap : {0, 1, 63, 64, 4'095, 70'001, 200'000}) {
    text += std::string(gap, 'x');
    hans.insert(hans.end(), {text.size(), text.size() + 3});
    text += "\u65e5";
  }
  EXPECT_EQ(cuts_of(Regex("\\p{Han}"), text, scratch), hans);
  EXPECT_EQ(cuts_of(Regex("(?<=x)\\p{Han}\\z"), text, scratch), (std::vector<size_t>{text.size() - 3, text.size()}));
  EXPECT_EQ(cuts_of(Regex("$"), text, scratch), (std::vector<size_t>{text.size(), text.size()}));
  EXPECT_EQ(cuts_of(Regex("\\G\\p{Han}"), text, scratch), (std::vector<size_t>{0, 3}));
  EXPECT_TRUE(cuts_of(Regex("\\Gxy"), text, scratch).empty());
  const std::string run(300'000, 'x');
  EXPECT_EQ(cuts_of(Regex("x+\\z"), run, scratch), (std::vector<size_t>{0, run.size()}));
}

TEST(NormalizerTest, ManyMarksInARowAreSortedWithoutTheSquareOfTheirNumber) {
  Normalizer normalizer;
  normalizer.add_form(Normalizer::Form::nfc);
  std::string marks = "q";
  std::string sorted = "q";
  for (int at = 0; at < 200'000; ++at) marks += at % 2 == 0 ? "\u0301" : "\u0316";
  for (int at = 0; at < 100'000; ++at) sorted += "\u0316";
  for (int at = 0; at < 100'000; ++at) sorted += "\u0301";
  std::string memory;
  Regex::Scratch scratch;
  EXPECT_TRUE(normalizer.apply(marks, TextPlace::at_start, memory, scratch) == sorted);
}

TEST(TokenizerFrameTest, TheOpeningOfATextIsNotPutTwice) {
  const json record = read_record("dialect.json");
  for (const json& file : record.at("files")) {
    if (file.at("name") != "template") continue;
    const Tokenizer tokenizer = Tokenizer::from_json(with_fields(file.at("fields")), "tokenizer.json");
    ASSERT_EQ(tokenizer.frame().before.size(), 1U);
    const auto plain = tokenizer.encode("word");
    const auto opened = tokenizer.encode("word", {.with_frame = true});
    EXPECT_EQ(tokenizer.opening_of(plain).size(), 1U);
    EXPECT_EQ(tokenizer.opening_of({}).size(), 1U);
    EXPECT_EQ(tokenizer.opening_of(opened).size(), 0U);
    EXPECT_EQ(opened.size(), plain.size() + 1);
  }
}

}  // namespace
}  // namespace mformer
