#include "cli/command.h"
#include "cli/left_out.h"
#include "cli/made.h"
#include "cli/terminal/format.h"
#include "cli/terminal/report.h"
#include "cli/train_options.h"
#include "cli/workspace.h"

namespace mformer::cli {
namespace {

struct TaskOptions {
  std::string name, data, fields;
  bool replace = false;
  bool dry_run = false;
};

TaskData add_task(Workspace& workspace, const TaskOptions& options) {
  const LoadedVersion version = workspace.load();
  const Tokenizer& tokenizer = require_tokenizer(version);
  Session& session = workspace.session();
  TaskData task = open_task(session, tokenizer, options.name, options.data, options.replace, options.fields);
  if (options.dry_run) return task;
  run_operation(session, "", {}, [&](std::int64_t operation) {
    session.registry.atomically([&] {
      record_task(session, task, operation, options.replace);
      session.registry.finish_operation(operation, Outcome::done);
    });
  });
  return task;
}

void run_task_add(const TaskOptions& options, const GlobalOptions& global) {
  Workspace workspace(
      global, "task add", mode_of(options.dry_run),
      {{"name", options.name}, {"data", options.data}, {"replace", options.replace}, {"fields", options.fields}});
  const TaskData task = workspace.run([&] { return add_task(workspace, options); });
  const auto count = [](const TokenData& tokens) { return static_cast<std::int64_t>(tokens.tokens().size()); };
  const std::int64_t train = count(task.tokens.train), validation = count(task.tokens.validation),
                     held_out = count(task.tokens.held_out);
  terminal::Report report("task add", global.json);
  report.data().update({{"dry_run", options.dry_run},
                        {"task", options.name},
                        {"data", task.record.data_path},
                        {"content_hash", task.tokens.summary.content_hash},
                        {"files", task.tokens.summary.files},
                        {"documents", task.tokens.summary.documents},
                        {"fields", task.record.fields},
                        {"left_out", left_out_json(task.tokens.summary)},
                        {"tokens", {{"train", train}, {"validation", validation}, {"held_out", held_out}}}});
  report.text() << (options.dry_run ? "would add" : "added") << " task '" << options.name
                << "': " << terminal::format_count(task.tokens.summary.documents) << " documents, "
                << terminal::format_count(train) << " tokens for training, " << terminal::format_count(validation)
                << " for validation, " << terminal::format_count(held_out) << " held out\n"
                << left_out_lines(task.tokens.summary);
  tell(options.dry_run ? "" : "added task '" + options.name + "'", "mformer tasks", [&] { report.print(); });
}

}  // namespace

void setup_task(CLI::App& parent, const GlobalOptions& global) {
  CLI::App* group =
      add_command_group(parent, {"task", groups::data, "Name data sets", "mformer task add qa --data qa/"});
  auto options = std::make_shared<TaskOptions>();
  CLI::App* command = add_command(
      *group, {"add", "", "Give a data set a name and turn it into tokens", "mformer task add qa --data qa/"});
  command->add_option("NAME", options->name, "Name of the task")->required();
  command->add_option("--data", options->data, "Folder or file of text, source code or .jsonl")
      ->type_name("DIR")
      ->required();
  add_fields_flag(*command, options->fields);
  command->add_flag("--replace", options->replace, "Take new data under a known name; its statistics and scores go");
  add_dry_run(*command, options->dry_run);
  command->callback([options, &global] { run_task_add(*options, global); });
}

}  // namespace mformer::cli
