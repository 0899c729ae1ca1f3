#include "core/workflows/score_questions.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "core/decoding/text_scorer.h"
#include "core/model/domains.h"
#include "core/text/questions.h"
#include "core/text/utf8.h"
#include "core/workflows/generate.h"
#include "modules_registry/error.h"

namespace mformer {
namespace {

/// A text of which the end is asked for.
struct AskedText {
  std::vector<std::int64_t> ids;
  std::size_t first = 1;  ///< The first that is asked for.
};

/// What lengths of choices are counted in.
double characters(const std::string& text) {
  const auto starts = [](char byte) { return (static_cast<unsigned char>(byte) & 0xC0U) != 0x80U; };
  return static_cast<double>(std::max<std::ptrdiff_t>(1, std::count_if(text.begin(), text.end(), starts)));
}

std::size_t greatest(const std::vector<double>& values) {
  return static_cast<std::size_t>(std::max_element(values.begin(), values.end()) - values.begin());
}

std::optional<Proportion> proportion(const std::vector<bool>& right) {
  if (right.empty()) return std::nullopt;
  const auto n = static_cast<double>(right.size());
  const double mean = static_cast<double>(std::count(right.begin(), right.end(), true)) / n;
  Proportion result{mean, std::nullopt, static_cast<std::int64_t>(right.size())};
  if (right.size() > 1) result.standard_error = std::sqrt(mean * (1 - mean) / (n - 1));
  return result;
}

std::int64_t context_to_see(const QuestionsCommand& command, const ModelConfig& config) {
  return command.context > 0 ? command.context : config.block_size;
}

/// Asks one model.
class Asker {
 public:
  Asker(LoadedVersion version, const QuestionsCommand& command, at::Device device)
      : tokenizer_(require_tokenizer(version)),
        ends_(end_tokens(tokenizer_, version.model.config)),
        context_(static_cast<std::size_t>(context_to_see(command, version.model.config))),
        most_written_(std::min(static_cast<std::size_t>(command.max_answer_tokens), context_ / 2)),
        scorer_(std::move(version.model), at::kFloat, {}, device) {}

  ScoredQuestion ask(const Question& question, const std::string& prompt) {
    ScoredQuestion result;
    result.line = question.line;
    if (question.has_choices()) {
      choose(question, prompt, result);
    } else {
      result.answer = written(prompt);
      result.right = result.answer == question.answer;
    }
    return result;
  }

  std::int64_t cut() const { return cut_; }
  std::int64_t tokens() const { return tokens_; }
  std::int64_t tokens_read() const { return scorer_.tokens_read(); }

 private:
  void choose(const Question& question, const std::string& prompt, ScoredQuestion& result) {
    // Spaces at the end of a prompt belong to the answer: a token rarely ends with them.
    const std::size_t asked_from = tokenizer_.encode(prompt.substr(0, end_without_spaces(prompt))).size();
    std::vector<double> by_length;
    for (const std::string& choice : question.choices) {
      const AskedText asked = keep_last(text_of(prompt + " " + choice, asked_from), context_ + 1);
      const std::vector<double> log_probs = scorer_.score(asked.ids, asked.first);
      result.log_probs.push_back(std::accumulate(log_probs.begin(), log_probs.end(), 0.0));
      by_length.push_back(result.log_probs.back() / characters(choice));
    }
    result.chosen = greatest(result.log_probs), result.chosen_normalised = greatest(by_length);
    result.answer = question.choices[result.chosen];
    result.right = result.chosen == question.correct;
    result.right_normalised = result.chosen_normalised == question.correct;
  }

  std::string written(const std::string& prompt) {
    const AskedText asked = keep_last(text_of(prompt, std::nullopt), context_ - most_written_);
    std::string text;
    scorer_.go_on(asked.ids, most_written_, tokenizer_.vocab_size(), [&](std::int64_t id) {
      const auto token = static_cast<std::int32_t>(id);
      if (std::find(ends_.begin(), ends_.end(), token) != ends_.end()) return false;
      text += tokenizer_.decode(std::span(&token, 1), {.continues = true});
      return text.find('\n') == std::string::npos;
    });
    return replace_invalid_utf8(written_answer(text));
  }

  /// A text as the model reads it, with what stands before every one; of its own tokens those from `asked_from` on are
  /// asked for, if any.
  AskedText text_of(const std::string& text, std::optional<std::size_t> asked_from) {
    const std::vector<std::int32_t> ids = tokenizer_.encode(text);
    const auto opening = tokenizer_.opening_of(ids);
    AskedText result{{opening.begin(), opening.end()}};
    // Nothing predicts the very first token, but that a document begins.
    if (result.ids.empty() && (ids.empty() || asked_from == 0)) result.ids.push_back(document_start());
    const std::size_t last = ids.empty() ? 0 : ids.size() - 1;
    result.first = std::max<std::size_t>(1, result.ids.size() + std::min(asked_from.value_or(0), last));
    result.ids.insert(result.ids.end(), ids.begin(), ids.end());
    return result;
  }

  std::int32_t document_start() const {
    if (!ends_.empty()) return ends_.front();
    throw UsageError("a prompt of spaces alone can't be answered: no token is known that begins a document",
                     "let each prompt have a word");
  }

  AskedText keep_last(AskedText asked, std::size_t most) {
    tokens_ += static_cast<std::int64_t>(asked.ids.size());
    if (asked.ids.size() <= most) return asked;
    const std::size_t drop = asked.ids.size() - most;
    asked.ids.erase(asked.ids.begin(), asked.ids.begin() + static_cast<std::ptrdiff_t>(drop));
    asked.first = std::max<std::size_t>(1, asked.first - std::min(drop, asked.first));
    ++cut_;
    return asked;
  }

  Tokenizer tokenizer_;
  std::vector<std::int32_t> ends_;
  std::size_t context_, most_written_;
  TextScorer scorer_;
  std::int64_t cut_ = 0, tokens_ = 0;
};

std::vector<Question> examples_of(const QuestionsCommand& command) {
  if (command.shots == 0) return {};
  std::vector<Question> examples = read_questions(command.examples);
  if (examples.size() < static_cast<std::size_t>(command.shots)) {
    throw UsageError(command.examples + " has " + std::to_string(examples.size()) + " questions, and " +
                         std::to_string(command.shots) + " examples are asked for",
                     "ask for fewer: --shots " + std::to_string(examples.size()));
  }
  examples.resize(static_cast<std::size_t>(command.shots));
  return examples;
}

void summarise(QuestionsReport& report) {
  std::vector<bool> chosen, normalised, written;
  for (const ScoredQuestion& one : report.questions) {
    (one.log_probs.empty() ? written : chosen).push_back(one.right);
    if (!one.log_probs.empty()) normalised.push_back(one.right_normalised);
  }
  report.accuracy = proportion(chosen), report.accuracy_normalised = proportion(normalised);
  report.exact_match = proportion(written);
}

}  // namespace

QuestionsReport score_questions(Session& session, LoadedVersion version, const QuestionsCommand& command) {
  std::vector<Question> questions = read_questions(command.file);
  const std::vector<Question> examples = examples_of(command);
  if (command.limit > 0 && questions.size() > static_cast<std::size_t>(command.limit)) {
    questions.resize(static_cast<std::size_t>(command.limit));
  }
  say_if_longer(session, command.context, version.model.config, ", for which it was made");
  if (!command.domain.empty()) version.model = view_of(version.model, command.domain);
  Asker asker(std::move(version), command, session.device);
  const auto total = static_cast<std::int64_t>(questions.size());
  QuestionsReport report;
  for (std::int64_t done = 0; done < total; ++done) {
    session.watcher.tell("questions", done, total);
    if (session.watcher.stops()) throw EvaluationInterrupted("interrupted while questions were asked");
    const Question& question = questions[static_cast<std::size_t>(done)];
    report.questions.push_back(asker.ask(question, with_examples(examples, question)));
  }
  summarise(report);
  report.cut = asker.cut(), report.tokens = asker.tokens(), report.tokens_read = asker.tokens_read();
  return report;
}

}  // namespace mformer
