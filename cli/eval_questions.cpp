#include "cli/eval_questions.h"

#include <fstream>

#include "cli/describe.h"
#include "cli/output_file.h"
#include "cli/terminal/format.h"
#include "cli/terminal/report.h"
#include "cli/terminal/table.h"
#include "cli/validators.h"
#include "cli/workspace.h"
#include "modules_registry/error.h"
#include "modules_registry/files.h"

namespace mformer::cli {
namespace {

using namespace terminal;
using nlohmann::ordered_json;

constexpr std::string_view kLogBegins = R"({"line":)";

bool is_log(const std::string& path) {
  std::ifstream file(path);
  std::string first(kLogBegins.size(), '\0');
  file.read(first.data(), static_cast<std::streamsize>(first.size()));
  return first == kLogBegins;
}

void write_log(const std::string& path, const QuestionsReport& result) {
  std::string text;
  for (const ScoredQuestion& one : result.questions) {
    ordered_json line = {{"line", one.line}, {"answer", one.answer}, {"right", one.right}};
    if (!one.log_probs.empty()) {
      line["chosen"] = one.chosen, line["chosen_normalised"] = one.chosen_normalised;
      line["right_normalised"] = one.right_normalised, line["log_probs"] = one.log_probs;
    }
    text += line.dump(-1, ' ', false, ordered_json::error_handler_t::replace) + '\n';
  }
  write_file_atomically(path, std::as_bytes(std::span(text)));
}

void report_proportion(Report& report, Table& table, const std::string& name, const std::string& shown,
                       const std::optional<Proportion>& figure) {
  if (!figure) {
    report.data()[name] = nullptr;
    return;
  }
  ordered_json& json = report.data()[name] = {{"mean", figure->mean}, {"standard_error", nullptr}};
  if (figure->standard_error) json["standard_error"] = *figure->standard_error;
  json["questions"] = figure->questions;
  table.add_row({shown, format_fixed(figure->mean),
                 figure->standard_error ? format_fixed(*figure->standard_error) : "-",
                 format_count(figure->questions)});
}

void report_questions(Report& report, const QuestionsReport& result) {
  Table table({{"measure", Align::left}, {"value"}, {"standard error"}, {"questions"}});
  report_proportion(report, table, "accuracy", "accuracy", result.accuracy);
  report_proportion(report, table, "accuracy_normalised", "accuracy by length", result.accuracy_normalised);
  report_proportion(report, table, "exact_match", "exact match", result.exact_match);
  report.text() << table.str(report.style());
  if (result.accuracy) report.text() << "by length: choices compared by their log-probability a character\n";
  report.data()["cut"] = result.cut;
  if (result.cut > 0) {
    report.text() << format_count(result.cut) << " texts were longer than the context: their beginning was left out\n";
  }
  report.data()["tokens"] = result.tokens, report.data()["tokens_read"] = result.tokens_read;
}

void require_nothing_else(const EvalCommand& options) {
  const bool fast = options.mode == PosteriorMode::fast;
  if (options.tasks.empty() && options.data.empty() && options.fields.empty() && options.as_of.empty() && !fast &&
      options.max_tokens == 0) {
    return;
  }
  throw UsageError(
      "--tasks asks questions, and measures no text: not with --task, --data, --fields, --as-of, --fast or "
      "--max-tokens",
      "leave those out; --limit asks fewer questions");
}

}  // namespace

void add_question_flags(CLI::App& command, QuestionFlags& flags) {
  const char* group = "Questions";
  command
      .add_option("--tasks", flags.command.file,
                  "File of questions, .jsonl with question (or prompt), choices and answer: accuracy instead of losses")
      ->type_name("FILE")
      ->group(group);
  command.add_option("--shots", flags.command.shots, "With --tasks: so many examples before each question")
      ->check(non_negative_integer())
      ->group(group);
  command.add_option("--shots-from", flags.command.examples, "The file whose first questions are the examples")
      ->type_name("FILE")
      ->group(group);
  command.add_option("--limit", flags.command.limit, "With --tasks: only the first so many questions; default: all")
      ->check(positive_integer())
      ->group(group);
  command
      .add_option("--max-answer-tokens", flags.command.max_answer_tokens,
                  "With --tasks: tokens of an answer without choices, which ends with its line")
      ->check(positive_integer())
      ->group(group);
  command.add_option("--log", flags.log, "With --tasks: also write a line of JSON a question to this file")
      ->type_name("FILE")
      ->group(group);
}

void understand_question_flags(const EvalCommand& options, const QuestionFlags& flags) {
  const QuestionsCommand& command = flags.command;
  if (flags.wanted()) {
    if ((command.shots > 0) == command.examples.empty()) {
      throw UsageError("--shots and --shots-from belong together", "say both how many examples and where they are");
    }
    require_nothing_else(options);
    if (!flags.log.empty()) require_output(flags.log, "log of questions", is_log);
    return;
  }
  const QuestionsCommand untouched;
  if (command.shots == 0 && command.examples.empty() && command.limit == 0 && flags.log.empty() &&
      command.max_answer_tokens == untouched.max_answer_tokens) {
    return;
  }
  throw UsageError("--shots, --shots-from, --limit, --max-answer-tokens and --log belong to --tasks",
                   "add --tasks FILE, or leave them out");
}

void run_eval_questions(const EvalCommand& options, QuestionFlags flags, const GlobalOptions& global) {
  flags.command.domain = options.domain, flags.command.context = options.context;
  Workspace workspace(global, "eval", OpenMode::read_only);
  LoadedVersion version = workspace.load();
  const VersionRecord record = version.record;
  const QuestionsReport result =
      workspace.run([&] { return score_questions(workspace.computing_session(), std::move(version), flags.command); });
  Report report("eval", global.json);
  report.data()["model_version"] = version_json(record);
  report.data()["domain"] = options.domain.empty() ? ordered_json(nullptr) : ordered_json(options.domain);
  report.data()["questions"] = flags.command.file;
  report.data()["shots"] = flags.command.shots;
  report.text() << to_string(record) << (options.domain.empty() ? "" : " as '" + options.domain + "' alone") << '\n';
  report_questions(report, result);
  report.data()["log"] = flags.log.empty() ? ordered_json(nullptr) : ordered_json(flags.log);
  report.print();
  if (!flags.log.empty()) write_log(flags.log, result);  // last: a full disk must not take the figures with it
}

}  // namespace mformer::cli
