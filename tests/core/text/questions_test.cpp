#include "core/text/questions.h"

#include <gtest/gtest.h>

#include "tests/core/text/temporary_folder.h"
#include "tests/support/expect_error.h"

namespace mformer {
namespace {

class QuestionsTest : public ::testing::Test {
 protected:
  std::vector<Question> read(const std::string& text, std::size_t most = 1 << 20) {
    folder_.write("questions.jsonl", text);
    return read_questions(folder_ / "questions.jsonl", most);
  }

  void expect_refused(const std::string& text, const std::string& says) {
    SCOPED_TRACE(text.substr(0, 200));
    EXPECT_FALSE(mformer::testing::expect_error<Error>([&] { read(text); }, says).empty());
  }

  TemporaryFolder folder_;
};

TEST_F(QuestionsTest, AreReadInEveryForm) {
  const auto all = read(R"({"question": "How?", "choices": ["so", "not"], "answer": 1, "subject": "x"}

{"prompt": "2 + 2 =", "answer": "4"}
{"prompt": "P", "choices": ["B", "A"], "answer": "A"})"
                        "\r\n"
                        R"({"prompt": "P", "choices": ["x", "y", "z"], "answer": "C"})");
  ASSERT_EQ(all.size(), 4U);
  EXPECT_EQ(all[0].prompt, "Question: How?\nAnswer:");
  EXPECT_EQ(all[0].correct, 1U);
  EXPECT_EQ(all[0].answer, "not");
  EXPECT_EQ(all[1].line, 3U);
  EXPECT_FALSE(all[1].has_choices());
  EXPECT_EQ(all[1].answer, "4");
  EXPECT_EQ(all[2].correct, 1U) << "a choice that is a letter means itself";
  EXPECT_EQ(all[3].correct, 2U);
}

TEST_F(QuestionsTest, ThatCanNotBeUnderstoodAreRefusedByTheirLine) {
  expect_refused("", "no question");
  expect_refused("\n\n", "no question");
  expect_refused("{\"prompt\": \"a\", \"answer\": \"b\"}\n[1]", "line 2: it is no object");
  expect_refused("{", "line 1: ");
  expect_refused(std::string(100'000, '['), "line 1: ");
  expect_refused(R"({"answer": "b"})", "either 'prompt' or 'question'");
  expect_refused(R"({"prompt": "a", "question": "b", "answer": "c"})", "either 'prompt' or 'question'");
  expect_refused(R"({"prompt": 3, "answer": "c"})", "'prompt' must be a text, not 3");
  expect_refused(R"({"prompt": "", "answer": "c"})", "'prompt' is empty");
  expect_refused(R"({"prompt": "a"})", "no 'answer'");
  expect_refused(R"({"prompt": "a", "answer": 3})", "'answer' must be a text");
  expect_refused(R"({"prompt": "a", "choices": "ab", "answer": 0})", "at least two");
  expect_refused(R"({"prompt": "a", "choices": ["x"], "answer": 0})", "at least two");
  expect_refused(R"({"prompt": "a", "choices": ["x", ""], "answer": 0})", "a choice is empty");
  for (const char* answer : {"2", "-1", "18446744073709551615", "\"C\"", "\"z\"", "1.0", "true", "\"\""}) {
    expect_refused(std::string(R"({"prompt": "a", "choices": ["x", "y"], "answer": )") + answer + "}", "'answer'");
  }
  expect_refused("{\"prompt\": \"a\", \"choices\": [\"x\", \"y\"], \"answer\": \"z\x7f\"}",
                 "'answer' \"z\\x7f\" is none");
  expect_refused(R"({"prompt": "a", "answer": " \n "})", "'answer' is empty");
  expect_refused(R"({"prompt": "a", "answer": "one\ntwo"})", "several lines");
  expect_refused("{\"prompt\": \"\x1b[31m\", \"choices\": [\"\x1b[31m\", 1], \"answer\": 0}", "line 1: ");
}

TEST_F(QuestionsTest, TooLargeAFileIsRefusedBeforeItIsRead) {
  EXPECT_THROW(read("{\"prompt\": \"a\", \"answer\": \"b\"}", 10), Error);
}

TEST_F(QuestionsTest, AnAnswerIsOneLineWithoutSpacesAround) {
  EXPECT_EQ(read(R"({"prompt": "a", "answer": " 4 \n"})")[0].answer, "4");
  EXPECT_EQ(written_answer("  forty two\t\nand more"), "forty two");
  EXPECT_EQ(written_answer("\nforty two"), "") << "the line ended before it";
  EXPECT_EQ(written_answer(" \t"), "");
  EXPECT_EQ(written_answer(""), "");
}

TEST_F(QuestionsTest, StandAfterTheirExamples) {
  const auto all = read(R"({"prompt": "Q1:", "choices": ["a", "b"], "answer": 1}
{"prompt": "Q2:", "answer": "c"})");
  EXPECT_EQ(with_examples({all[0], all[1]}, all[1]), "Q1: b\n\nQ2: c\n\nQ2:");
  EXPECT_EQ(with_examples({}, all[0]), "Q1:");
}

}  // namespace
}  // namespace mformer
