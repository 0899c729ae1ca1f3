#include <algorithm>
#include <cmath>

#include "cli/command.h"
#include "cli/commands.h"
#include "cli/computes.h"
#include "cli/describe.h"
#include "cli/eval_matrix.h"
#include "cli/eval_questions.h"
#include "cli/terminal/format.h"
#include "cli/terminal/report.h"
#include "cli/terminal/table.h"
#include "cli/train_options.h"
#include "cli/validators.h"
#include "cli/workspace.h"
#include "core/workflows/evaluate_tasks.h"
#include "modules_registry/error.h"

namespace mformer::cli {
namespace {

using namespace terminal;
using nlohmann::ordered_json;

ordered_json shares_json(const EvalReport& result, const PosteriorSummary& posterior) {
  ordered_json shares = ordered_json::object();
  for (std::size_t h = 0; h < posterior.shares.size(); ++h) shares[result.hypotheses[h]] = posterior.shares[h];
  return shares;
}

ordered_json row_json(const EvalReport& result, const EvalRow& row) {
  if (!row.held_out) return {{"task", row.task}, {"loss", nullptr}, {"perplexity", nullptr}, {"tokens", 0}};
  const Evaluation& held_out = *row.held_out;
  ordered_json json = {
      {"task", row.task}, {"loss", held_out.loss}, {"perplexity", held_out.perplexity()}, {"tokens", held_out.tokens}};
  if (held_out.posterior.has_value()) {
    const PosteriorSummary& posterior = *held_out.posterior;
    json["shares"] = shares_json(result, posterior);
    json["documents"] = posterior.documents;
    json["base_loss"] = nullptr, json["rise"] = nullptr, json["bound"] = nullptr;
    if (!posterior.earlier.empty()) {
      const EarlierLoss& base = posterior.earlier[0];
      json["base_loss"] = base.loss, json["rise"] = held_out.loss - base.loss, json["bound"] = base.bound;
    }
  }
  return json;
}

std::vector<Column> columns_of(const EvalReport& result, bool strict) {
  std::vector<Column> columns = {{"task", Align::left}, {"loss"}, {"perplexity"}, {"tokens"}};
  if (result.hypotheses.size() == 1) return columns;
  if (strict) columns.insert(columns.end(), {{"over base"}, {"at most"}});
  for (const std::string& name : result.hypotheses) columns.push_back({"by " + name});
  return columns;
}

std::vector<std::string> row_cells(const EvalRow& row) {
  if (!row.held_out) return {row.task, "-", "-", "0"};
  const Evaluation& held_out = *row.held_out;
  std::vector<std::string> cells = {row.task, format_fixed(held_out.loss), format_fixed(held_out.perplexity(), 2),
                                    format_count(held_out.tokens)};
  if (!held_out.posterior) return cells;
  if (!held_out.posterior->earlier.empty()) {
    const EarlierLoss& base = held_out.posterior->earlier[0];
    cells.push_back(format_signed(held_out.loss - base.loss));
    cells.push_back(format_at_most(base.bound));
  }
  for (const double share : held_out.posterior->shares) cells.push_back(format_percent(share));
  return cells;
}

void report_rows(Report& report, const EvalReport& result, bool strict) {
  auto& rows = report.data()["tasks"] = ordered_json::array();
  const std::vector<Column> columns = columns_of(result, strict);
  Table table(columns);
  for (const EvalRow& row : result.rows) {
    rows.push_back(row_json(result, row));
    std::vector<std::string> cells = row_cells(row);
    cells.resize(columns.size(), "-");
    table.add_row(cells);
  }
  report.text() << table.str(report.style()) << "held-out text; loss in nats per token: less is better\n";
  if (std::any_of(result.rows.begin(), result.rows.end(), [](const EvalRow& row) { return !row.held_out; })) {
    report.text() << "-: nothing to measure: no held-out text, or prompts alone\n";
  }
  if (result.hypotheses.size() == 1) return;
  report.text() << "by …: the share of the prediction that the posterior gave to each hypothesis\n";
  report.text() << (strict ? "over base, at most: the rise over the base alone, and its bound, whatever the text is\n"
                           : "fast: no bound against the base, which may rest where it would do better; without --fast "
                             "there is one\n");
}

/// Called when the figures are printed: who reads the exit code alone must not take "n/a" for a success.
void require_numbers(const EvalReport& result) {
  for (const EvalRow& row : result.rows) {
    if (!row.held_out || row.held_out->tokens == 0 || std::isfinite(row.held_out->loss)) continue;
    throw Error("the loss of '" + row.task + "' is not a finite number",
                "weights that are not finite do that: mformer undo goes back to the version before");
  }
}

void run_eval(const EvalCommand& options, bool spread, const GlobalOptions& global) {
  // Spread, products have other numbers of rows, and losses are rounded otherwise: those are not kept.
  const OpenMode mode = spread ? OpenMode::read_only : mode_for_measuring(global);
  Workspace workspace(global, "eval", mode);
  const LoadedVersion version = spread ? workspace.load_spread() : workspace.load();
  if (spread && !version.model.domains.empty() && options.domain.empty()) {
    throw UsageError("--expert-parallel measures one hypothesis of a model with domains", "name it: --domain base");
  }
  const EvalReport result = workspace.run(
      [&] { return evaluate_tasks(workspace.computing_session(), version, options, mode == OpenMode::read_write); });
  Report report("eval", global.json);
  report.data()["model"] = to_string(version.record);
  report.data()["hash"] = version.record.hash;
  report.data()["model_version"] = version_json(version.record);
  report.text() << to_string(version.record);
  if (options.as_of.empty()) {
    report.data()["as_of"] = nullptr;
  } else {
    const VersionRecord as_of = workspace.registry().resolve(options.as_of);
    report.data()["as_of"] = version_json(as_of);
    report.text() << " as of " << to_string(as_of) << ": " << format_count(result.masked_modules)
                  << " modules born later are masked";
  }
  report.data()["domain"] = options.domain.empty() ? ordered_json(nullptr) : ordered_json(options.domain);
  if (!options.domain.empty()) report.text() << " as '" << options.domain << "' alone";
  report.data()["masked_modules"] = result.masked_modules;
  const bool strict = options.mode == PosteriorMode::strict;
  report.data()["mode"] = result.hypotheses.size() > 1 ? ordered_json(to_string(options.mode)) : ordered_json(nullptr);
  report.text() << '\n';
  report_rows(report, result, strict);
  report.print();
  require_numbers(result);
}

}  // namespace

void setup_eval(CLI::App& parent, const GlobalOptions& global) {
  auto options = std::make_shared<EvalCommand>();
  auto matrix = std::make_shared<MatrixFlags>();
  auto questions = std::make_shared<QuestionFlags>();
  auto fast = std::make_shared<bool>(false);
  auto spread = std::make_shared<bool>(false);
  CLI::App* command =
      add_command(parent, {"eval", groups::inspect, "Measure the loss on held-out text", "mformer eval --task qa"});
  command->add_option("--task", options->tasks, "Tasks to measure; default: all that are known")->type_name("NAME");
  command->add_option("--data", options->data, "Folder or file of text instead of tasks")->type_name("DIR");
  add_fields_flag(*command, options->fields);
  command->add_option("--as-of", options->as_of, "Mask the modules born after this version: the model as it was then")
      ->type_name("REF");
  CLI::Option* domain = command->add_option(
      "--domain", options->domain,
      "One domain, or base: no posterior decides; default: the posterior over births, if there are domains");
  domain->type_name("NAME");
  command
      ->add_flag("--fast,!--exact", *fast,
                 "Fast: hypotheses rest where the text speaks against them, which takes about the time of one and has "
                 "no bound; "
                 "exact: all run over every token; default: exact")
      ->excludes(domain);
  command->add_option("--max-tokens", options->max_tokens, "Held-out tokens per task, spread evenly; default: all")
      ->check(positive_integer());
  command->add_option("--context", options->context, "Tokens a sequence; default: the model's block size")
      ->check(positive_integer());
  command->add_flag(
      "--expert-parallel", *spread,
      "Spread each layer's modules over the processes (docs/parallel.md): each holds a part of the model");
  add_matrix_flags(*command, *matrix);
  add_question_flags(*command, *questions);
  computes(
      *command,
      [options, matrix, questions, fast, spread] {
        options->mode = *fast ? PosteriorMode::fast : PosteriorMode::strict;
        understand_matrix_flags(*options, *matrix);
        understand_question_flags(*options, *questions);
        if (questions->wanted() && matrix->wanted) {
          throw UsageError("--tasks and --matrix measure different things", "leave one of them out");
        }
        if (*spread && (questions->wanted() || matrix->wanted || !options->as_of.empty())) {
          throw UsageError("--expert-parallel measures the loss of one version",
                           "leave out --tasks, --matrix and --as-of");
        }
        if (!options->data.empty() && !options->tasks.empty()) {
          throw UsageError("--task and --data exclude each other here", "name the tasks, or a folder");
        }
      },
      [options, matrix, questions, spread, &global] {
        if (questions->wanted()) return run_eval_questions(*options, *questions, global);
        matrix->wanted ? run_eval_matrix(*options, *matrix, global) : run_eval(*options, *spread, global);
      });
}

}  // namespace mformer::cli
