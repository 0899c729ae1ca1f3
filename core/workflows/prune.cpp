#include "core/workflows/prune.h"

#include <chrono>

#include "core/workflows/commit.h"
#include "core/workspace/routing_stats.h"

namespace mformer {
namespace {

using Clock = std::chrono::steady_clock;

/// Trains only the routers (their rows and what they share) of the pruned model on the task.
void heal(Session& session, const LoadedVersion& base, const PruneCommand& command, const TaskData& task, Model& model,
          PruneReport& report) {
  if (command.heal_steps == 0) return;
  const std::int64_t context = context_of(command.options, model);
  TrainOptions options = command.options;
  options.steps = command.heal_steps;
  model = clone(model);
  TrainTask training;
  training.model = &model;
  training.balance = false;
  training.parameters = make_trainable(model, [](const ParameterRef& ref) {
    return ref.part == ParameterRef::Part::router ||
           (ref.part == ParameterRef::Part::module && ref.name.ends_with(".row"));
  });
  training.batches = shuffled_batches(PackedWindows(task.tokens.require(Split::train), context, LastWindow::drop),
                                      options.seed, options.batch_size);
  training.run_folder = run_folder(session, base.record.hash, task.record.content_hash, command.restart);
  report.run_folder = training.run_folder.string();
  train(training, options,
        hooks_for(session, "heal", options, validation_of(session, model, task, context, command.eval_tokens)));
  make_untrainable(model);
}

std::optional<Evaluation> timed(double& seconds, const std::function<std::optional<Evaluation>()>& evaluate) {
  const auto start = Clock::now();
  auto result = evaluate();
  seconds = std::chrono::duration<double>(Clock::now() - start).count();
  return result;
}

void check(const PruneCommand& command) {
  command.options.validate();
  if (!(command.keep > 0 && command.keep <= 1)) {
    throw UsageError("--keep must be a fraction above 0 and at most 1",
                     "for example --keep 0.3 keeps 30 % of the modules");
  }
  if (command.heal_steps < 0) throw UsageError("--heal-steps must not be negative", "0 = no healing");
}

}  // namespace

PruneReport prune(Session& session, const LoadedVersion& base, const PruneCommand& command) {
  check(command);
  if (command.heal_steps > 0) require_trainable(base);
  const Tokenizer& tokenizer = require_tokenizer(base);
  TaskData task = open_task(session, tokenizer, command.task, command.data);
  PruneReport report;
  std::vector<RoutingStat> stats;
  if (command.criterion != Criterion::norm && command.criterion != Criterion::random) {
    stats = collect_routing(session, base.model, task, Split::train, command.stat_tokens);
  }
  report.kept =
      keep_best(base.model, command.keep, command.scope, score_by(command.criterion, base.model, stats, session.seed));
  Model model = select(base.model, report.kept);
  report.size_before = size_of(base.model);
  report.size_after = size_of(model);
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
    heal(session, base, command, task, model, report);
    const CommitResult commit = commit_model(session, operation, base, model, command.into);
    report.version = commit.version;
    report.kept_beside = commit.kept_beside;
    report.stored_after = session.registry.version_bytes(commit.version.hash);
    measure(model, report.seconds_after);
    const std::vector<TaskData> tasks = readable_tasks(session, tokenizer);
    report.tasks = changes(tasks, losses(session, base.record.hash, base.model, tasks, command.eval_tokens),
                           losses(session, commit.version.hash, model, tasks, command.eval_tokens));
    if (!report.run_folder.empty()) finish_run(report.run_folder);
  });
  return report;
}

}  // namespace mformer
