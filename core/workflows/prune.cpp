#include "core/workflows/prune.h"

#include <chrono>

#include "core/history/commit.h"
#include "core/workflows/stages.h"

namespace mformer {
namespace {

using Clock = std::chrono::steady_clock;

bool is_anything(const ParameterRef&) {
  return true;
}

bool is_of_router(const ParameterRef& ref) {
  return ref.part == ParameterRef::Part::router || ref.role == ParameterRole::row;
}

/// What training after pruning trains: the routers (their rows and what they share), or everything.
TrainFilter filter_of(const PruneCommand& command) {
  return command.heal_steps > 0 ? is_of_router : is_anything;
}

/// Says of a copy of the model what is trained, and what that takes.
void plan_training(const Session& session, const PruneCommand& command, const Teacher& teacher, Model model,
                   PruneReport& report) {
  if (command.heal_steps + command.tune_steps == 0) return;
  make_trainable(model, filter_of(command));
  report.trainable = count_trainable(model);
  report.memory = plan_memory(
      {model, command.options, session.device, /*balance=*/false, teacher.model.get(), command.validation.keep_best});
  make_untrainable(model);
}

/// Trains what is left, on the task.
void train_rest(Session& session, const LoadedVersion& base, const PruneCommand& command, const TaskData& task,
                const Teacher& teacher, Model& model, std::optional<RunFolder>& folder, PruneReport& report) {
  const bool heals = command.heal_steps > 0;
  if (!heals && command.tune_steps == 0) return;
  TrainCommand training{command, {command.options, command.validation}};
  training.options.steps = heals ? command.heal_steps : command.tune_steps;
  const TrainFilter filter = filter_of(command);
  model = clone(model);
  const Tuning tuning{model, task, heals ? "heal" : "tune", filter, command.loss, teacher};
  folder.emplace(tuning_folder(session, base, training, tuning));
  report.run_folder = folder->path().string();
  report.training = tune(session, base, training, tuning, folder->path());
}

std::optional<Evaluation> timed(double& seconds, const std::function<std::optional<Evaluation>()>& evaluate) {
  const auto start = Clock::now();
  auto result = evaluate();
  seconds = std::chrono::duration<double>(Clock::now() - start).count();
  return result;
}

}  // namespace

PruneReport prune(Session& session, const LoadedVersion& base, const PruneCommand& command) {
  command.validate();
  if (command.heal_steps + command.tune_steps > 0) require_trainable(base);
  const Tokenizer& tokenizer = require_tokenizer(base);
  announce_stages(session, base, command);
  TaskData task = open_task(session, tokenizer, command.task, command.data, /*replace=*/false, command.fields);
  say_what_was_left_out(session, task);
  require_validation(task, command.validation, base.model.config.default_context());
  PruneReport report;
  report.hypothesis = choose_hypothesis(session, base, task, command.domain);
  announce(session, report.hypothesis);
  const LoadedVersion from = hypothesis_of(base, report.hypothesis.name);
  const Teacher teacher = load_teacher(session, from, task, command.loss);
  report.kept = choose_modules(session, from.model, task, command);
  Model model = select(from.model, report.kept);
  report.size_before = size_of(base.model);
  report.size_after = size_of(model);
  plan_training(session, command, teacher, model, report);
  report.stored_before = session.registry.version_bytes(base.record.hash);
  report.stored_after = report.stored_before - (report.size_before.bytes - report.size_after.bytes);
  const auto measure = [&](const Model& which, double& seconds) {
    return timed(seconds, [&] { return evaluate_task(session, which, task, Split::held_out, command.eval_tokens); });
  };
  const auto before = measure(base.model, report.seconds_before);
  if (command.dry_run) {
    report.tasks = changes({task}, {before}, {measure(model, report.seconds_after)});
    return report;
  }
  const OperationData data{"prune", task.record.name, task.record.data_path, task.record.content_hash};
  run_operation(session, target_model(base, command.into), {data}, [&](std::int64_t operation) {
    record_task(session, task, operation);
    std::optional<RunFolder> folder;
    train_rest(session, base, command, task, teacher, model, folder, report);
    const CommitResult commit = commit_model(session, operation, base, model, command.into);
    report.version = commit.version;
    report.kept_beside = commit.kept_beside;
    report.tasks = changes({task}, {before}, {std::nullopt});
    report.cut_off = after_commit([&] {
      if (folder) folder->finish();
      report.stored_after = session.registry.version_bytes(commit.version.hash);
      // What was timed is not measured again among all tasks.
      keep_score(session, base.record.hash, task.record.name, before, command.eval_tokens);
      const auto after = measure(model, report.seconds_after);
      keep_score(session, commit.version.hash, task.record.name, after, command.eval_tokens);
      const std::vector<TaskData> tasks = readable_tasks(session, tokenizer);
      report.tasks = changes(tasks, losses(session, base.record.hash, base.model, tasks, command.eval_tokens),
                             losses(session, commit.version.hash, model, tasks, command.eval_tokens));
    });
  });
  return report;
}

}  // namespace mformer
