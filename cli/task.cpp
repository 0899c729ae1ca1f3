#include "cli/command.h"
#include "cli/commands.h"
#include "cli/describe.h"
#include "cli/fields_option.h"
#include "cli/left_out.h"
#include "cli/made.h"
#include "cli/same_workspace.h"
#include "cli/terminal/format.h"
#include "cli/terminal/report.h"
#include "cli/terminal/text.h"
#include "cli/text_workspace.h"
#include "core/workflows/tasks.h"
#include "core/workspace/version_tokenizer.h"

namespace mformer::cli {
namespace {

using terminal::format_count;

struct TaskAddOptions {
  std::string name, data, fields;
  bool replace = false;
  bool dry_run = false;
};

struct TaskMoveOptions {
  std::string name, data;
  bool dry_run = false;
};

std::int64_t token_count(const TokenData& tokens) {
  return static_cast<std::int64_t>(tokens.tokens().size());
}

std::string quoted_task(const std::string& name) {
  return "'" + terminal::printable(name) + "'";
}

/// What became of the task, in past and planned form.
std::string outcome_verb(AddedTask::Outcome outcome, bool dry_run) {
  switch (outcome) {
    case AddedTask::Outcome::added:
      return dry_run ? "would add" : "added";
    case AddedTask::Outcome::known:
      return dry_run ? "would leave as it is" : "known already:";
    case AddedTask::Outcome::moved:
      return dry_run ? "would move" : "moved";
    case AddedTask::Outcome::replaced:
      return dry_run ? "would replace" : "replaced";
  }
  return "";
}

std::string_view outcome_word(AddedTask::Outcome outcome) {
  constexpr std::string_view kWords[] = {"added", "known", "moved", "replaced"};
  return kWords[static_cast<std::size_t>(outcome)];
}

/// One line for what later commands will miss.
void warn_of_empty_splits(std::ostream& text, const TokenCache& tokens) {
  const bool validation = tokens.validation.documents() > 0, held_out = tokens.held_out.documents() > 0;
  if (validation && held_out) return;
  const std::string missing = validation ? "held-out" : held_out ? "validation" : "validation and held-out";
  text << "no " << missing
       << " text: " << (validation ? "" : "--eval-every and inspect keep-curve have nothing to measure")
       << (!validation && !held_out ? "; " : "") << (held_out ? "" : "eval has nothing to measure")
       << "; add documents: about one in 20 goes to each\n";
}

void run_task_add(const TaskAddOptions& options, const GlobalOptions& global) {
  TextWorkspace workspace(
      global, "task add", mode_of(options.dry_run),
      {{"name", options.name}, {"data", options.data}, {"replace", options.replace}, {"fields", options.fields}});
  const Tokenizer tokenizer = tokenizer_of(workspace.registry(), workspace.version());
  const AddedTask added = workspace.run([&] {
    return add_task(workspace.session(), tokenizer, options.name, options.data, options.replace, options.fields,
                    options.dry_run);
  });
  const TaskData& task = added.task;
  const std::int64_t train = token_count(task.tokens.train), validation = token_count(task.tokens.validation),
                     held_out = token_count(task.tokens.held_out);
  terminal::Report report("task add", global.json);
  report.data().update({{"dry_run", options.dry_run},
                        {"task", task.record.name},
                        {"outcome", outcome_word(added.outcome)},
                        {"data", task.record.data_path},
                        {"content_hash", task.tokens.summary.content_hash},
                        {"files", task.tokens.summary.files},
                        {"documents", task.tokens.summary.documents},
                        {"fields", task.record.fields},
                        {"left_out", left_out_json(task.tokens.summary)},
                        {"tokens", {{"train", train}, {"validation", validation}, {"held_out", held_out}}}});
  report.text() << outcome_verb(added.outcome, options.dry_run) << " task " << quoted_task(task.record.name) << ": "
                << format_count(task.tokens.summary.documents) << " documents, " << format_count(train)
                << " tokens for training, " << format_count(validation) << " for validation, " << format_count(held_out)
                << " held out\n"
                << left_out_lines(task.tokens.summary);
  if (added.outcome == AddedTask::Outcome::moved) {
    report.text() << "from " << terminal::printable(added.path_before) << " to "
                  << terminal::printable(task.record.data_path) << '\n';
  }
  warn_of_empty_splits(report.text(), task.tokens);
  tell(options.dry_run
           ? ""
           : "task add: " + std::string(outcome_word(added.outcome)) + " task " + quoted_task(task.record.name),
       "mformer log", [&] { report.print(); });
}

void run_task_move(const TaskMoveOptions& options, const GlobalOptions& global) {
  TextWorkspace workspace(global, "task move", mode_of(options.dry_run),
                          {{"name", options.name}, {"data", options.data}});
  const MovedTask moved =
      workspace.run([&] { return move_task(workspace.session(), options.name, options.data, options.dry_run); });
  terminal::Report report("task move", global.json);
  report.data() = {{"dry_run", options.dry_run},
                   {"task", moved.task},
                   {"from", moved.from},
                   {"data", moved.to},
                   {"documents", moved.data.documents},
                   {"content_hash", moved.data.content_hash}};
  report.text() << (options.dry_run ? "would move" : "moved") << " task " << quoted_task(moved.task) << " from "
                << terminal::printable(moved.from) << " to " << terminal::printable(moved.to) << ": the same "
                << format_count(moved.data.documents) << " documents\n";
  tell(options.dry_run ? "" : "moved task " + quoted_task(moved.task), "mformer log", [&] { report.print(); });
}

void setup_task_add(CLI::App& group, const GlobalOptions& global) {
  auto options = std::make_shared<TaskAddOptions>();
  CLI::App* command = add_command(
      group, {"add", "", "Give a data set a name and turn it into tokens", "mformer task add qa --data qa/"});
  command->add_option("NAME", options->name, "Name of the task")->required();
  command->add_option("--data", options->data, "Folder or file of text, source code or .jsonl")
      ->type_name("DIR")
      ->required();
  add_fields_flag(*command, options->fields);
  command->add_flag("--replace", options->replace, "Take new data under a known name; its statistics and scores go");
  add_dry_run(*command, options->dry_run);
  command->callback([options, &global] { run_task_add(*options, global); });
}

void setup_task_move(CLI::App& group, const GlobalOptions& global) {
  auto options = std::make_shared<TaskMoveOptions>();
  CLI::App* command = add_command(group, {"move", "", "Say where a task's data lies now; it must be the same",
                                          "mformer task move qa --data new/qa/"});
  command->add_option("NAME", options->name, "Name of the task")->required();
  command->add_option("--data", options->data, "Where the same folder or file is now")->type_name("DIR")->required();
  add_dry_run(*command, options->dry_run);
  command->callback([options, &global] { run_task_move(*options, global); });
}

}  // namespace

void setup_task(CLI::App& parent, const GlobalOptions& global) {
  CLI::App* group =
      add_command_group(parent, {"task", groups::data, "Name data sets", "mformer task add qa --data qa/"});
  setup_task_add(*group, global);
  setup_task_move(*group, global);
  setup_task_rename(*group, global);
  setup_task_remove(*group, global);
}

}  // namespace mformer::cli
