#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/workspace/session.h"

namespace mformer {

struct QuestionsCommand {
  std::string file;      ///< Of questions (core/text/questions.h).
  std::string examples;  ///< File of those whose first `shots` stand before each question.
  std::int64_t shots = 0;
  std::int64_t limit = 0;               ///< Only the first so many questions; 0 = all.
  std::int64_t max_answer_tokens = 64;  ///< Of an answer that the model writes; at most half the context.
  std::int64_t context = 0;             ///< Tokens that the model sees at most; 0 = its block size.
  std::string domain;                   ///< One hypothesis, "base" or a domain's name; empty = the posterior decides.
};

/// What a model made of one question.
struct ScoredQuestion {
  std::size_t line = 0;
  std::vector<double>
      log_probs;           ///< Of each choice with the space before it, nats; empty where the answer was written.
  std::size_t chosen = 0;  ///< The likeliest choice, the first of several.
  std::size_t chosen_normalised = 0;  ///< The likeliest by log-probability over its number of characters.
  std::string answer;                 ///< What was chosen or written.
  bool right = false;
  bool right_normalised = false;  ///< Of choices.
};

/// The mean of zeros and ones.
struct Proportion {
  double mean = 0;
  std::optional<double> standard_error = {};  ///< √(p (1 − p) / (n − 1)), of the mean; absent for one question.
  std::int64_t questions = 0;
};

struct QuestionsReport {
  std::vector<ScoredQuestion> questions;
  /// Of questions with choices: accuracy, and by log-probabilities over lengths.
  std::optional<Proportion> accuracy, accuracy_normalised;
  std::optional<Proportion> exact_match;  ///< Of those whose answer was written.
  std::int64_t cut = 0;                   ///< Texts longer than the context, whose beginning was left out.
  std::int64_t tokens = 0;                ///< Of all texts, and those that had to be run, each by every hypothesis.
  std::int64_t tokens_read = 0;
};

/// Asks the model all questions of a file, as EleutherAI's lm-evaluation-harness scores them (lm_eval/api/task.py and
/// lm_eval/api/model.py of 0.4.13): of choices the likeliest is the model's answer, each after the prompt and a space,
/// where tokens that span the two count as its first; a written answer is the likeliest token after the other, up to
/// the end of the line, and must be the right one but for spaces around it. A text longer than the context loses its
/// beginning. Computed in float32. Where the tokenizer's file puts tokens before a text they are put here, too.
QuestionsReport score_questions(Session& session, LoadedVersion version, const QuestionsCommand& command);

}  // namespace mformer
