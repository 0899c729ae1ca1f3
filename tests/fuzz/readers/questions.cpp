#include "core/text/questions.h"

#include <algorithm>

#include "core/text/utf8.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/readers.h"

namespace mformer::fuzz {
namespace {

void check_question(const Question& question) {
  must(!question.prompt.empty() && !question.answer.empty(), "there is a question and its answer");
  must(question.choices.size() != 1, "a choice is between two");
  must(!question.has_choices() || question.choices.at(question.correct) == question.answer, "the answer is a choice");
  must(question.has_choices() || written_answer(question.answer) == question.answer, "an answer is one line");
  for (const std::string* text : {&question.prompt, &question.answer}) {
    must(utf8_valid_prefix(*text) == text->size(), "what was read is UTF-8");
  }
}

}  // namespace

/// A file of questions, as eval --tasks reads it.
void read_questions_file(std::string_view input) {
  const Scratch& scratch = Scratch::folder();
  const std::vector<Question> questions = read_questions(scratch.write("questions.jsonl", input));
  must(!questions.empty(), "a file that is read has a question");
  std::size_t last = 0;
  for (const Question& question : questions) {
    check_question(question);
    must(question.line > last, "each line has one question");
    last = question.line;
  }
  must(static_cast<std::ptrdiff_t>(last) <= std::count(input.begin(), input.end(), '\n') + 1,
       "a question has its line");
  must(with_examples(questions, questions.front()).ends_with(questions.front().prompt), "the question comes last");
}

}  // namespace mformer::fuzz
