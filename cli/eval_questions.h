#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "cli/global_options.h"
#include "core/workflows/evaluate_tasks.h"
#include "core/workflows/score_questions.h"

namespace mformer::cli {

/// The flags that make `eval` ask questions instead of measuring the loss on text.
struct QuestionFlags {
  QuestionsCommand command;
  std::string log;  ///< File for a line of JSON a question; empty = none.

  bool wanted() const { return !command.file.empty(); }
};

void add_question_flags(CLI::App& command, QuestionFlags& flags);

/// Throws UsageError for flags that belong to --tasks, without it, and for what does not go with that; of --log also as
/// require_output().
void understand_question_flags(const EvalCommand& options, const QuestionFlags& flags);

/// `eval --tasks`. Of `options` the domain and the context count; throws UsageError for the others.
void run_eval_questions(const EvalCommand& options, QuestionFlags flags, const GlobalOptions& global);

}  // namespace mformer::cli
