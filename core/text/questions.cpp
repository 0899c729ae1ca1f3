#include "core/text/questions.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string_view>

#include "core/formats/input_file.h"
#include "core/text/json_fields.h"
#include "core/text/lenient_json.h"
#include "modules_registry/error.h"
#include "modules_registry/printable.h"

namespace mformer {
namespace {

using nlohmann::json;

const char* const kHint =
    R"(a line is {"question": "…", "choices": ["…", "…"], "answer": "…"}, or has "prompt" for the question and no choices)";

/// Python's, but for those beyond ASCII.
constexpr const char* kSpaces = " \t\n\r\f\v";

std::string trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(kSpaces);
  if (begin == std::string_view::npos) return "";
  return std::string(text.substr(begin, end_without_spaces(text) - begin));
}

/// Where a question stands, for complaints.
struct Place {
  const std::filesystem::path& file;
  std::size_t line;

  [[noreturn]] void refuse(const std::string& problem) const {
    throw Error(printable(file.string()) + ", line " + std::to_string(line) + ": " + problem, kHint);
  }
};

const json& field(const json& record, const char* name) {
  static const json kNull;
  const auto found = record.find(name);
  return found == record.end() ? kNull : *found;
}

std::string text_of(const json& value, const char* name, const Place& place) {
  if (!value.is_string()) place.refuse(std::string(name) + " must be a text, not " + shown(value));
  std::string text = value.get<std::string>();
  if (text.empty()) place.refuse(std::string(name) + " is empty");
  return text;
}

std::string prompt_of(const json& record, const Place& place) {
  const json &prompt = field(record, "prompt"), &question = field(record, "question");
  if (prompt.is_null() == question.is_null()) place.refuse("it needs either 'prompt' or 'question'");
  if (!prompt.is_null()) return text_of(prompt, "'prompt'", place);
  return "Question: " + text_of(question, "'question'", place) + "\nAnswer:";
}

std::vector<std::string> choices_of(const json& value, const Place& place) {
  if (value.is_null()) return {};
  if (!value.is_array() || value.size() < 2) place.refuse("'choices' must be a list of at least two texts");
  std::vector<std::string> choices;
  for (const json& one : value) choices.push_back(text_of(one, "a choice", place));
  return choices;
}

/// A text that is a choice counts before a letter, so that choices that are letters mean themselves.
std::size_t choice_named(const json& answer, const std::vector<std::string>& choices, const Place& place) {
  if (answer.is_number_integer()) {
    const bool fits = answer >= 0 && answer < choices.size();
    if (!fits)
      place.refuse("'answer' is " + shown(answer) + ", of " + std::to_string(choices.size()) + " choices from 0");
    return answer.get<std::size_t>();
  }
  const std::string text = text_of(answer, "'answer'", place);
  const auto named = std::find(choices.begin(), choices.end(), text);
  if (named != choices.end()) return static_cast<std::size_t>(named - choices.begin());
  const std::size_t letter = text.size() == 1 ? static_cast<std::size_t>(text[0] - 'A') : choices.size();
  if (letter >= choices.size()) place.refuse("'answer' " + shown(answer) + " is none of the choices");
  return letter;
}

std::string answer_to_write(const json& value, const Place& place) {
  std::string answer = trimmed(text_of(value, "'answer'", place));
  if (answer.empty()) place.refuse("'answer' is empty");
  if (answer.find('\n') != std::string::npos)
    place.refuse("'answer' has several lines, and what is written ends with the first");
  return answer;
}

Question question_of(std::string_view line, const Place& place) {
  const LenientJson read = read_lenient_json(line);
  if (!read.problem.empty()) place.refuse(read.problem);
  if (!read.value.is_object()) place.refuse("it is no object");
  Question question;
  question.line = place.line;
  question.prompt = prompt_of(read.value, place);
  question.choices = choices_of(field(read.value, "choices"), place);
  const json& answer = field(read.value, "answer");
  if (answer.is_null()) place.refuse("it has no 'answer'");
  if (question.has_choices()) question.correct = choice_named(answer, question.choices, place);
  question.answer = question.has_choices() ? question.choices[question.correct] : answer_to_write(answer, place);
  return question;
}

std::string whole_text(const std::filesystem::path& path, std::size_t most_bytes) {
  const InputFile file = InputFile::open(path);
  if (file.size() > most_bytes) {
    throw Error(printable(path.string()) + " has " + std::to_string(file.size()) + " bytes, more than the " +
                    std::to_string(most_bytes) + " that a file of questions may have",
                "divide it");
  }
  return file.text(0, file.size());
}

}  // namespace

std::vector<Question> read_questions(const std::filesystem::path& file, std::size_t most_bytes) {
  const std::string text = whole_text(file, most_bytes);
  const std::string_view left = text;
  std::vector<Question> questions;
  std::size_t number = 0;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view line = left.substr(begin, end - begin);
    begin = end + 1, ++number;
    if (line.find_first_not_of(" \t\r") != std::string_view::npos)
      questions.push_back(question_of(line, {file, number}));
  }
  if (questions.empty()) throw Error(printable(file.string()) + " has no question", kHint);
  return questions;
}

std::size_t end_without_spaces(std::string_view text) {
  return text.find_last_not_of(kSpaces) + 1;  // npos + 1 is 0
}

std::string written_answer(std::string_view text) {
  return trimmed(text.substr(0, text.find('\n')));
}

std::string with_examples(const std::vector<Question>& examples, const Question& question) {
  std::string text;
  for (const Question& one : examples) text += one.prompt + " " + one.answer + "\n\n";
  return text + question.prompt;
}

}  // namespace mformer
