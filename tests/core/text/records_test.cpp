// Records as people have them: their forms, where the loss lies, and what harms one of them.

#include "core/text/records.h"

#include <random>

#include "core/text/lenient_json.h"
#include "core/text/record_source.h"
#include "core/text/utf8.h"
#include "tests/core/text/data_test.h"

namespace mformer {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class RecordsTest : public DataTest {};

TEST_F(RecordsTest, EachFormHasItsLossOnTheAnswerAlone) {
  EXPECT_THAT(of("a.jsonl", R"({"text": "plain", "id": 1})"
                            "\n"
                            R"({"prompt": "p", "completion": "c"})"
                            "\n"
                            R"({"question": "q?", "answer": "a"})"
                            "\n"
                            R"({"instruction": "Add.", "input": "2 3", "output": "5"})"
                            "\n"
                            R"({"instruction": "Say hi.", "input": "", "output": "hi"})"
                            "\n"
                            R"({"instruction": "Say hi.", "output": "hi"})")
                  .texts,
              ElementsAre("[plain", "p\n[c", "Q: q?\nA:[ a", "Add.\n2 3\n[5", "Say hi.\n[hi", "Say hi.\n[hi"));
}

TEST_F(RecordsTest, AChatHasItsLossOnTheAssistantsTurnsAndEndsWithTheLast) {
  const std::string chat =
      R"({"messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "2+3?"}, )"
      R"({"role": "assistant", "content": "5"}, {"role": "user", "content": [{"type": "text", "text": "And"}, )"
      R"({"type": "text", "text": " 4?"}]}, {"role": "assistant", "content": "9"}]})";
  EXPECT_THAT(of("a.jsonl", chat).texts,
              ElementsAre("System: Be kind.\nUser: 2+3?\nAssistant:[ 5]\nUser: And 4?\nAssistant:[ 9"));
  const std::string shared = R"({"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Ho"}]})";
  EXPECT_THAT(of("b.jsonl", shared).texts, ElementsAre("User: Hi\nAssistant:[ Ho"));
  const std::string open = R"({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, )"
                           R"({"role": "user", "content": "c"}]})";
  EXPECT_THAT(of("c.jsonl", open).texts, ElementsAre("User: a\nAssistant:[ b]\nUser: c"));
}

TEST_F(RecordsTest, AnAnswerOfWeightZeroDoesNotCount) {
  const std::string chat = R"({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", )"
                           R"("weight": 0}, {"role": "user", "content": "c"}, {"role": "assistant", "content": "d"}]})";
  EXPECT_THAT(of("a.jsonl", chat).texts, ElementsAre("User: a\nAssistant: b\nUser: c\nAssistant:[ d"));
}

TEST_F(RecordsTest, WhatAChatCantBeReadForIsSaid) {
  const auto why = [&](const std::string& messages) { return refused("a.jsonl", "{\"messages\": " + messages + "}"); };
  EXPECT_THAT(why(R"([{"role": "tool", "content": "x"}])"), HasSubstr("line 1, has a message of the role 'tool'"));
  EXPECT_THAT(why(R"([{"role": "assistant", "content": null, "tool_calls": [{"id": 1}]}])"), HasSubstr("calls a tool"));
  EXPECT_THAT(why(R"([{"role": "user", "content": "x"}])"), HasSubstr("no message of the assistant's"));
  EXPECT_THAT(why(R"([{"role": "user", "content": [{"type": "image_url"}]}])"), HasSubstr("part that is no text"));
  EXPECT_THAT(why(R"([{"role": "user"}])"), HasSubstr("message without a text"));
  EXPECT_THAT(why(R"([{"content": "x"}])"), HasSubstr("without a role"));
  EXPECT_THAT(why(R"(["x"])"), HasSubstr("no object"));
  EXPECT_THAT(why(R"("x")"), HasSubstr("no list"));
  EXPECT_THAT(why(R"([])"), HasSubstr("no message of the assistant's"));
}

TEST_F(RecordsTest, OfSeveralFormsTheFirstThatIsNotNullCounts) {
  EXPECT_THAT(of("a.jsonl", R"({"text": "t", "prompt": "p", "completion": "c"})"
                            "\n"
                            R"({"text": null, "prompt": "p", "completion": "c"})")
                  .texts,
              ElementsAre("[t", "p\n[c"));
}

TEST_F(RecordsTest, FieldsMayBeNamed) {
  const std::string record =
      R"({"text": "no", "ask": "q", "more": "m", "say": "a", "chat": [{"role": "assistant", "content": "x"}]})";
  EXPECT_THAT(of("a.jsonl", record, "prompt=ask,completion=say").texts, ElementsAre("q\n[a"));
  EXPECT_THAT(of("a.jsonl", record, "completion=say,prompt=ask").texts, ElementsAre("q\n[a"));
  EXPECT_THAT(of("a.jsonl", record, "text=say").texts, ElementsAre("[a"));
  EXPECT_THAT(of("a.jsonl", record, "question=ask,answer=say").texts, ElementsAre("Q: q\nA:[ a"));
  EXPECT_THAT(of("a.jsonl", record, "instruction=ask,output=say").texts, ElementsAre("q\n[a"));
  EXPECT_THAT(of("a.jsonl", record, "instruction=ask,input=more,output=say").texts, ElementsAre("q\nm\n[a"));
  EXPECT_THAT(of("a.jsonl", record, "messages=chat").texts, ElementsAre("Assistant:[ x"));
  EXPECT_THAT(refused("a.jsonl", record, "text=nothing"), HasSubstr("lacks a field that --fields names"));
  EXPECT_EQ(RecordFields::parse("prompt=a,completion=b").str(), RecordFields::parse("completion=b,prompt=a").str());
  for (const char* wrong : {"prompt=a", "text", "text=", "=a", "text=a,text=b", "text=a,", "words=a", "text=a,prompt=b",
                            "input=a", ",", "prompt=a,completion=b,input=c"}) {
    EXPECT_THROW(RecordFields::parse(wrong), UsageError) << wrong;
  }
}

TEST_F(RecordsTest, ABadLineHarmsThatLineAlone) {
  const std::string deep = "{\"text\": \"x\", \"a\": " + std::string(100'000, '[') + std::string(100'000, ']') + "}";
  for (const std::string& bad :
       {std::string("{\"text\": "), std::string("[1]"), std::string("{\"prompt\": \"only\"}"),
        std::string("{\"text\": 5}"), std::string("{\"text\": \"a\", \"text\": \"b\"}"),
        std::string("{\"te\0xt\": \"a\"}", 14), std::string("null"), std::string("not json"),
        std::string("{\"text\": \"a\"} {\"text\": \"b\"}"), std::string("{}"), deep, std::string(100'000, '['),
        std::string("{\"text\": \"tab\there\"}"), std::string("\"text\"")}) {
    const FoundData found = of("d.jsonl", "{\"text\": \"fine\"}\n" + bad + "\n{\"text\": \"too\"}\n");
    EXPECT_THAT(found.texts, ElementsAre("[fine", "[too")) << bad.substr(0, 60);
    EXPECT_EQ(found.summary.bad_records, 1) << bad.substr(0, 60);
    ASSERT_EQ(found.summary.examples.size(), 1U);
    EXPECT_THAT(found.summary.examples[0], HasSubstr("'d.jsonl': line 2"));
    EXPECT_LT(found.summary.examples[0].size(), 200U);
    EXPECT_EQ(left_out_text(found.summary), "1 record that can't be read");
    EXPECT_THAT(refused("only.jsonl", bad), HasSubstr("no record can be read: line 1"));
  }
}

TEST_F(RecordsTest, NotANumberAndHalfCharactersDoNotHarmALine) {
  EXPECT_THAT(of("a.jsonl",
                 "{\"text\": \"one\", \"score\": NaN}\n{\"score\": [-Infinity, Infinity], \"text\": \"NaN two\"}\n"
                 "{\"text\": \"three\", \"big\": 1e999, \"fine\": -1.5e3}\n")
                  .texts,
              ElementsAre("[one", "[NaN two", "[three"));
  EXPECT_THAT(of("b.jsonl",
                 "{\"text\": \"cut \\ud83d\"}\n{\"text\": \"\\ude00 cut\"}\n{\"text\": \"whole \\uD83D\\uDE00\"}\n"
                 "{\"text\": \"\\ud83d\\ud83d\\ude00\"}\n{\"text\": \"back\\\\ud83d\"}\n{\"text\": \"byte \xFF\"}\n")
                  .texts,
              ElementsAre("[cut \xEF\xBF\xBD", "[\xEF\xBF\xBD cut", "[whole \xF0\x9F\x98\x80",
                          "[\xEF\xBF\xBD\xF0\x9F\x98\x80", "[back\\ud83d", "[byte \xEF\xBF\xBD"));
}

TEST_F(RecordsTest, WhatHasNoTextIsLeftOutAndCounted) {
  const FoundData found = of("a.jsonl",
                             "{\"text\": \"one\"}\n{\"text\": null}\n{\"text\": \"\"}\n{\"text\": NaN}\n"
                             "{\"prompt\": \"p\", \"completion\": null}\n\n");
  EXPECT_THAT(found.texts, ElementsAre("[one"));
  EXPECT_EQ(found.summary.empty_records, 4);
  EXPECT_EQ(found.summary.bad_records, 0);
  EXPECT_EQ(left_out_text(found.summary), "4 records without text");
  EXPECT_THAT(refused("b.jsonl", "{\"text\": null}\n"), HasSubstr("no readable text")) << "empty, but not broken";
}

TEST_F(RecordsTest, AnErrorNamesFileLineAndColumnAndQuotesLittle) {
  const std::string message = refused("broken.jsonl", "{\"text\": \"" + std::string(5'000'000, 'w') + "\n");
  EXPECT_THAT(message, HasSubstr("broken.jsonl' no record can be read: line 1, column 5000011, is not JSON"));
  EXPECT_THAT(refused("shift.jsonl", "{\"a\": NaN, \"b\": \"\xFF\", x}\n"), HasSubstr("column 22, is not JSON at 'x'"));
}

TEST_F(RecordsTest, AFileOfRecordsOfWhichNoneCanBeReadRefusesTheDataSet) {
  folder_.write("good.jsonl", "{\"text\": \"fine\"}\n");
  folder_.write("wrong.jsonl", "{\"body\": \"a\"}\n{\"body\": \"b\"}\n");
  EXPECT_THAT(refusal_of(folder_.path()),
              ::testing::AllOf(HasSubstr("wrong.jsonl"), HasSubstr("'body'"), HasSubstr("--fields")));
}

TEST_F(RecordsTest, ALineBeyondAllMeasureIsPassedBy) {
  const FoundData found =
      of("a.jsonl", "{\"text\": \"one\"}\n{\"text\": \"" + std::string(RecordSource::kLongest + 10, 'x') +
                        "\"}\n{\"text\": \"two\"}\n");
  EXPECT_THAT(found.texts, ElementsAre("[one", "[two"));
  EXPECT_THAT(found.summary.examples, ElementsAre("'a.jsonl': line 2, is longer than 64 MiB"));
}

TEST_F(RecordsTest, RandomBytesAreReadOrLeftOutAndNeverMore) {
  std::mt19937 random(7);
  const std::string_view bits[] = {"{",
                                   "}",
                                   "[",
                                   "]",
                                   "\"",
                                   "\\",
                                   ",",
                                   ":",
                                   "text",
                                   "NaN",
                                   "-Infinity",
                                   "\\ud83d",
                                   "1e9",
                                   "\n",
                                   " ",
                                   "\xFF",
                                   "null",
                                   "\"text\":\"a\"",
                                   "{\"text\":\"a\"}",
                                   "\xC3"};
  for (const char* name : {"a.jsonl", "a.json", "a.csv"}) {
    for (int round = 0; round < 3000; ++round) {
      std::string content = name == std::string("a.csv") ? "text,b\n" : "";
      for (int i = 0; i < 12; ++i) content += bits[random() % std::size(bits)];
      try {
        for (const std::string& text : of(name, content).texts) EXPECT_EQ(utf8_valid_prefix(text), text.size());
      } catch (const Error& error) {
        EXPECT_NE(error.hint(), "");
      }
    }
  }
}

TEST(LenientJson, TakesNoManyTimesTheMemoryOfTheText) {
  std::string many = R"({"text": "x", "a": [)";
  for (int i = 0; i < 1'000'000; ++i) many += "[],";
  EXPECT_THAT(read_lenient_json(many + "0]}").problem, HasSubstr("has more than 2000000 parts"));
  // Of what is replaced not every place is kept, and the place of a mistake stays one in the text.
  const std::string broken = "\"" + std::string(200'000, '\xFF') + "\" x";
  const LenientJson read = read_lenient_json(broken);
  EXPECT_THAT(read.problem, HasSubstr("is not JSON"));
  EXPECT_LE(read.at, broken.size());
}

TEST(LenientJson, NeverRecurses) {
  const std::string deep(3'000'000, '[');
  EXPECT_THAT(read_lenient_json(deep).problem, HasSubstr("ends too early"));
  EXPECT_THAT(read_lenient_json(deep + std::string(3'000'000, ']')).problem, HasSubstr("nested more than 64 deep"));
}

}  // namespace
}  // namespace mformer
