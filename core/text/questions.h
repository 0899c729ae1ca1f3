#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace mformer {

/// One item of a benchmark: a text to go on from, and what should follow.
struct Question {
  std::string prompt;                ///< As the model reads it; the answer follows after a space.
  std::vector<std::string> choices;  ///< At least two, of which one is to be chosen; empty: the answer is written.
  std::size_t correct = 0;           ///< Of the choices.
  std::string answer;                ///< The right one, of either kind.
  std::size_t line = 0;              ///< Of the file, from 1.

  bool has_choices() const { return !choices.empty(); }
};

/// Reads the questions of a .jsonl file, one object a line; empty lines don't count. Fields:
///   prompt     what is read as it stands; or
///   question   which is read as "Question: …\nAnswer:"
///   choices    a list of two or more texts; without it the answer is written by the model and compared
///   answer     the right choice: its text, its number from 0, or its letter; or the line to be written, of which
///   spaces
///              around it don't count
/// Further fields don't count. Throws Error, naming file and line, where one can't be read or understood, where the
/// file has more than `most_bytes`, and where it has no question.
std::vector<Question> read_questions(const std::filesystem::path& file, std::size_t most_bytes = std::size_t{1} << 30);

/// What a model wrote as the answer: up to the end of the line, without spaces around it.
std::string written_answer(std::string_view text);

/// Where the spaces at the end of a text begin.
std::size_t end_without_spaces(std::string_view text);

/// The prompt after examples with their answers: each followed by an empty line.
std::string with_examples(const std::vector<Question>& examples, const Question& question);

}  // namespace mformer
