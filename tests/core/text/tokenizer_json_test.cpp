#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "core/text/tokenizer.h"
#include "modules_registry/error.h"
#include "modules_registry/files.h"

namespace mformer {
namespace {

using nlohmann::json;

/// A tokenizer.json that loads, for spoiling.
json good() {
  static const json file =
      json::parse(read_file(std::filesystem::path(MFORMER_TEST_DATA) / "tokenizer" / "small.json"));
  return file;
}

/// The error of loading this text; "" if it loads.
std::string json_error(const std::string& text) {
  try {
    Tokenizer::from_json(text, "tokenizer.json");
    return "";
  } catch (const Error& error) {
    return error.what();
  }
}

struct Refusal {
  const char* name;
  const char* patch;  // RFC 6902
  const char* names;  // what the sentence must say
};

class TokenizerJsonRefusesTest : public ::testing::TestWithParam<Refusal> {};

TEST_P(TokenizerJsonRefusesTest, WithASentenceThatNamesTheField) {
  const json spoiled = good().patch(json::parse(GetParam().patch));
  const auto error = json_error(spoiled.dump());
  EXPECT_NE(error.find(GetParam().names), std::string::npos) << error;
  EXPECT_NE(error.find("tokenizer.json"), std::string::npos) << error;
}

constexpr Refusal kRefusals[] = {
    {"NoModel", R"([{"op":"remove","path":"/model"}])", "model is missing"},
    {"OtherModel", R"([{"op":"replace","path":"/model/type","value":"WordPiece"}])", "model.type"},
    {"Dropout", R"([{"op":"replace","path":"/model/dropout","value":0.1}])", "model.dropout"},
    {"SubwordPrefix", R"([{"op":"replace","path":"/model/continuing_subword_prefix","value":"##"}])",
     "model.continuing_subword_prefix"},
    {"UnknownModelField", R"([{"op":"add","path":"/model/magic","value":1}])", "model.magic"},
    {"UnknownField", R"([{"op":"add","path":"/magic","value":1}])", "magic"},
    {"EmptyVocab", R"([{"op":"replace","path":"/model/vocab","value":{}}])", "model.vocab"},
    {"NegativeId", R"([{"op":"replace","path":"/model/vocab/a","value":-1}])", "model.vocab"},
    {"HugeId", R"([{"op":"replace","path":"/model/vocab/a","value":4000000000}])", "model.vocab"},
    {"IdBeyondWhatAFileOfThisSizeCanHave", R"([{"op":"replace","path":"/model/vocab/a","value":120000}])",
     "model.vocab"},
    {"FractionalId", R"([{"op":"replace","path":"/model/vocab/a","value":1.5}])", "model.vocab"},
    {"TwoTokensOneId", R"([{"op":"replace","path":"/model/vocab/a","value":7}])", "two tokens"},
    {"MergeOfUnknownToken", R"([{"op":"add","path":"/model/merges/0","value":["a","☃"]}])", "model.merges"},
    {"MergeOfThree", R"([{"op":"add","path":"/model/merges/0","value":"a b c"}])", "model.merges"},
    {"MergesMissing", R"([{"op":"remove","path":"/model/merges"}])", "model.merges"},
    {"UnknownTokenThatIsNone",
     R"([{"op":"remove","path":"/model/vocab/!"},{"op":"replace","path":"/model/merges","value":[]},
         {"op":"replace","path":"/model/unk_token","value":"<nothing>"}])",
     "model.unk_token is '<nothing>', which is not in model.vocab"},
    {"Normalizer", R"([{"op":"replace","path":"/normalizer","value":{"type":"Nmt"}}])", "normalizer.type is 'Nmt'"},
    {"NormalizerInSequence",
     R"([{"op":"replace","path":"/normalizer","value":{"type":"Sequence","normalizers":[{"type":"NFC"},{"type":"Precompiled"}]}}])",
     "normalizer.normalizers[1].type is 'Precompiled'"},
    {"ReplaceOfNothing",
     R"([{"op":"replace","path":"/normalizer","value":{"type":"Replace","pattern":{"Regex":"a*"},"content":"b"}}])",
     "normalizer.pattern matches the empty text"},
    {"Truncation", R"([{"op":"replace","path":"/truncation","value":3}])", "truncation"},
    {"Padding", R"([{"op":"replace","path":"/padding","value":[3]}])", "padding"},
    {"PostProcessor", R"([{"op":"replace","path":"/post_processor","value":{"type":"Pairing"}}])",
     "post_processor.type is 'Pairing'"},
    {"RobertaWithoutIds",
     R"([{"op":"replace","path":"/post_processor","value":{"type":"RobertaProcessing","sep":["</s>",2],"cls":["<s>"]}}])",
     "post_processor.cls must be a token and its id"},
    {"BertOfAnIdThatDoesNotExist",
     R"([{"op":"replace","path":"/post_processor","value":{"type":"BertProcessing","sep":["</s>",2],"cls":["<s>",99999]}}])",
     "token 99999, which does not exist"},
    {"TemplateOfUnknownToken",
     R"([{"op":"replace","path":"/post_processor","value":{"type":"TemplateProcessing","special_tokens":{},
         "single":[{"SpecialToken":{"id":"<s>"}},{"Sequence":{"id":"A"}}]}}])",
     "names '<s>'"},
    {"TemplateOfAnIdThatDoesNotExist",
     R"([{"op":"replace","path":"/post_processor","value":{"type":"TemplateProcessing","special_tokens":{"<s>":{"ids":[99999]}},
         "single":[{"SpecialToken":{"id":"<s>"}},{"Sequence":{"id":"A"}}]}}])",
     "token 99999, which does not exist"},
    {"TemplateWithoutText",
     R"([{"op":"replace","path":"/post_processor","value":{"type":"TemplateProcessing","special_tokens":{},"single":[]}}])",
     "must name the text (A) once"},
    {"TemplateOfPairs",
     R"([{"op":"replace","path":"/post_processor","value":{"type":"TemplateProcessing","special_tokens":{},
         "single":[{"Sequence":{"id":"B"}}]}}])",
     "is not the text (A)"},
    {"TwoTemplates",
     R"([{"op":"replace","path":"/post_processor","value":{"type":"Sequence","processors":[
         {"type":"TemplateProcessing","special_tokens":{},"single":[{"Sequence":{"id":"A"}}]},
         {"type":"TemplateProcessing","special_tokens":{},"single":[{"Sequence":{"id":"A"}}]}]}}])",
     "second template"},
    {"AddedTokensThatAreNormalisedAlike",
     R"([{"op":"replace","path":"/normalizer","value":{"type":"Lowercase"}},
         {"op":"add","path":"/added_tokens/-","value":{"id":1001,"content":"QQ","normalized":true}},
         {"op":"add","path":"/added_tokens/-","value":{"id":1002,"content":"qq","normalized":true}}])",
     "is normalised to 'qq'"},
    {"AddedTokenThatIsNormalisedAway",
     R"([{"op":"replace","path":"/normalizer","value":{"type":"Strip","strip_left":true,"strip_right":true}},
         {"op":"add","path":"/added_tokens/-","value":{"id":1001,"content":"  ","normalized":true}}])",
     "is nothing once it is normalised"},
    {"OtherDecoder", R"([{"op":"replace","path":"/decoder","value":{"type":"WordPiece"}}])",
     "decoder.type is 'WordPiece'"},
    {"StripAtTheEnd",
     R"([{"op":"replace","path":"/decoder","value":{"type":"Strip","content":" ","start":0,"stop":1}}])",
     "decoder.stop"},
    {"StripOfAWord",
     R"([{"op":"replace","path":"/decoder","value":{"type":"Sequence","decoders":[{"type":"Fuse"},
         {"type":"Strip","content":"ab","start":1,"stop":0}]}}])",
     "decoder.decoders[1].content must be one character"},
    {"StripOfLessThanNothing",
     R"([{"op":"replace","path":"/decoder","value":{"type":"Strip","content":" ","start":-1,"stop":0}}])",
     "decoder.start"},
    {"OtherPreTokenizer", R"([{"op":"replace","path":"/pre_tokenizer","value":{"type":"UnicodeScripts"}}])",
     "pre_tokenizer.type is 'UnicodeScripts'"},
    {"MetaspaceWithoutAMark", R"([{"op":"replace","path":"/pre_tokenizer","value":{"type":"Metaspace"}}])",
     "pre_tokenizer.replacement must be one character"},
    {"MetaspaceOfAnotherScheme",
     R"([{"op":"replace","path":"/pre_tokenizer","value":{"type":"Metaspace","replacement":"_","prepend_scheme":"last"}}])",
     "pre_tokenizer.prepend_scheme is 'last'"},
    {"MetaspaceThatContradictsItself",
     R"([{"op":"replace","path":"/pre_tokenizer","value":{"type":"Metaspace","replacement":"_","prepend_scheme":"first",
         "add_prefix_space":false}}])",
     "pre_tokenizer.add_prefix_space is false"},
    {"FirstMetaspaceAfterANormalizer",
     R"([{"op":"replace","path":"/pre_tokenizer","value":{"type":"Metaspace","replacement":"_","prepend_scheme":"first"}},
         {"op":"replace","path":"/normalizer","value":{"type":"NFC"}}])",
     "pre_tokenizer.prepend_scheme is 'first'"},
    {"FirstMetaspaceAfterAnother",
     R"([{"op":"replace","path":"/pre_tokenizer","value":{"type":"Sequence","pretokenizers":[
         {"type":"Metaspace","replacement":"_","prepend_scheme":"always"},
         {"type":"Metaspace","replacement":"_","prepend_scheme":"first"}]}}])",
     "pre_tokenizer.pretokenizers[1].prepend_scheme is 'first' after another"},
    {"StepAfterByteLevel",
     R"([{"op":"replace","path":"/pre_tokenizer","value":
         {"type":"Sequence","pretokenizers":[{"type":"ByteLevel"},{"type":"Digits"}]}}])",
     "after ByteLevel"},
    {"BrokenPattern",
     R"([{"op":"replace","path":"/pre_tokenizer","value":{"type":"Split","behavior":"Isolated","pattern":{"Regex":"(a"}}}])",
     "pre_tokenizer.pattern"},
    {"PatternWithGraphemes",
     R"([{"op":"replace","path":"/pre_tokenizer","value":{"type":"Split","behavior":"Isolated","pattern":{"Regex":"\\X"}}}])",
     "'\\X', which is not supported"},
    {"PatternWithABlock",
     R"([{"op":"replace","path":"/pre_tokenizer","value":{"type":"Split","behavior":"Isolated","pattern":{"Regex":"\\p{In_Thai}"}}}])",
     "invalid character property name {In_Thai}"},
    {"PatternWithACallout",
     R"([{"op":"replace","path":"/pre_tokenizer","value":{"type":"Split","behavior":"Isolated","pattern":{"Regex":"(*FAIL)a"}}
}])",
     "callout"},
    {"PatternThatEndsInABackslash",
     R"([{"op":"replace","path":"/pre_tokenizer","value":{"type":"Split","behavior":"Isolated","pattern":{"Regex":"a\\"}}}])",
     "pre_tokenizer.pattern"},
    {"OtherSplit",
     R"([{"op":"replace","path":"/pre_tokenizer","value":{"type":"Split","behavior":"Kept","pattern":{"Regex":"a"}}}])",
     "pre_tokenizer.behavior"},
    {"AddedIdThatThePackageWouldChange", R"([{"op":"replace","path":"/added_tokens/1/id","value":2000}])",
     "added_tokens[1].id"},
    {"AddedTwice", R"([{"op":"replace","path":"/added_tokens/2/content","value":"<|endoftext|>"}])", "repeats"},
    {"AddedFlagOfWrongType", R"([{"op":"replace","path":"/added_tokens/1/lstrip","value":1}])",
     "added_tokens[1].lstrip"},
    {"AddedNotAList", R"([{"op":"replace","path":"/added_tokens","value":{"a":1}}])", "added_tokens"},
};

INSTANTIATE_TEST_SUITE_P(Each, TokenizerJsonRefusesTest, ::testing::ValuesIn(kRefusals),
                         [](const auto& each) { return std::string(each.param.name); });

TEST(TokenizerJsonTest, RefusesWhatIsNoJsonObject) {
  EXPECT_NE(json_error("").find("is not JSON"), std::string::npos);
  EXPECT_NE(json_error("{\"model\":").find("is not JSON"), std::string::npos);
  EXPECT_NE(json_error("[1]").find("no JSON object"), std::string::npos);
  EXPECT_NE(json_error("{}").find("model is missing"), std::string::npos);
}

TEST(TokenizerJsonTest, AFileOfAnyDepthIsASentenceAndNeverACrash) {
  EXPECT_NE(json_error(std::string(200'000, '[')).find("nested too deeply"), std::string::npos);
  EXPECT_NE(json_error(std::string(200'000, '[') + std::string(200'000, ']')).find("nested too deeply"),
            std::string::npos);
  std::string deep = "[";
  for (int level = 0; level < 300'000; ++level) deep += R"({"a":[)";
  EXPECT_NE(json_error(deep).find("nested too deeply"), std::string::npos);
  const std::string id = std::string(300'000, '[') + std::string(300'000, ']');
  EXPECT_NE(json_error(R"({"model":{"vocab":{"a":)" + id + "}}}").find("nested too deeply"), std::string::npos);
  json file = good();
  file["model"]["vocab"]["a"] = json::parse(std::string(60, '[') + std::string(60, ']'));
  EXPECT_NE(json_error(file.dump()).find("a list of 1"), std::string::npos);
  file = good();
  file["version"] = std::string(500, '[') + "\"" + std::string(500, '{');  // within a text it is no depth
  EXPECT_EQ(json_error(file.dump()), "");
}

TEST(TokenizerJsonTest, AFileOfAnyNumberOfStepsIsASentenceAndNeverACrash) {
  json file = good();
  json steps = json::array();
  for (int step = 0; step < 200'000; ++step) steps.push_back({{"type", "Digits"}});
  file["pre_tokenizer"] = {{"type", "Sequence"}, {"pretokenizers", steps}};
  EXPECT_NE(json_error(file.dump()).find("more than 256 steps"), std::string::npos);
}

TEST(TokenizerJsonTest, SentencesStayShortWhateverTheFileHolds) {
  const std::string megabyte(1 << 20, 'x');
  json file = good();
  file[megabyte] = 1;
  EXPECT_LT(json_error(file.dump()).size(), 1000U);
  file = good();
  file["normalizer"] = {{"type", megabyte}};
  EXPECT_LT(json_error(file.dump()).size(), 1000U);
  file = good();
  file["model"]["vocab"][megabyte] = "x";
  EXPECT_LT(json_error(file.dump()).size(), 1000U);
  file = good();
  file["model"]["merges"][0] = {megabyte, megabyte};
  EXPECT_LT(json_error(file.dump()).size(), 1000U);
}

TEST(TokenizerJsonTest, AFileCutAnywhereIsAnErrorAndNeverACrash) {
  const std::string whole = good().dump();
  for (size_t length = 0; length < whole.size(); length += 977) {
    EXPECT_NE(json_error(whole.substr(0, length)), "") << length;
  }
}

TEST(TokenizerJsonTest, EmptyAffixesAndNullsOfOlderFilesAreFine) {
  json file = good();
  file["model"]["continuing_subword_prefix"] = "";
  file["model"]["end_of_word_suffix"] = "";
  file["model"]["unk_token"] = "<|endoftext|>";
  file["model"].erase("type");
  file["post_processor"] = nullptr;
  EXPECT_EQ(json_error(file.dump()), "");
}

}  // namespace
}  // namespace mformer
