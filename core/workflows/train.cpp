#include "core/workflows/train.h"

#include <cmath>
#include <optional>

#include "core/checkpoint/domain_config.h"
#include "core/history/commit.h"
#include "core/history/lineage.h"
#include "core/model/placement.h"
#include "core/training/training_copy.h"
#include "core/workflows/stages.h"
#include "core/workspace/run_folder.h"

namespace mformer {

namespace {

/// What the command says of document pools.
PoolOptions pools_of(const PretrainCommand& command, const Tokenizer& tokenizer) {
  return {command.pools, command.pool_share, tokenizer.end_of_text()};
}

/// Losses that differ by less are the same but for the order of float32 sums.
constexpr double kSameLoss = 1e-5;

void add_bound(TaskChange& change, const EarlierLoss& earlier) {
  change.bound = earlier.bound;
  if (change.before.has_value() && std::abs(*change.before - earlier.loss) <= kSameLoss) change.before = earlier.loss;
}

/// Throws Error if the version has domains: what would change the base changes what each of them reads.
void require_plain(const Registry& registry, const LoadedVersion& base) {
  if (base.model.domains.empty()) return;
  std::string hint = "mformer extend adds to it, mformer finetune trains one of its hypotheses alone";
  for (const VersionRecord& version : ancestry(registry, base.record)) {
    if (module_owners(registry.manifest(version.hash)).size() > 1) continue;
    hint += "; the last version without domains is trained by mformer train --model " + to_string(version);
    break;
  }
  throw Error(to_string(base.record) + " has domains: training its base would change what each of them reads", hint);
}

}  // namespace

TrainReport pretrain(Session& session, const LoadedVersion& base, const PretrainCommand& command) {
  command.validate();
  require_trainable(base);
  require_plain(session.registry, base);
  const Tokenizer& tokenizer = require_tokenizer(base);
  announce_stages(session, base, command);
  TaskData task = open_task(session, tokenizer, command.task, command.data, /*replace=*/false, command.fields);
  say_what_was_left_out(session, task);
  Model model = clone(base.model);
  TrainReport report;
  TrainTask training;
  const TrainFilter everything = [](const ParameterRef&) { return true; };
  make_trainable(model, everything);
  training.pools = pools_of(command, tokenizer);
  report.trainable = count_trainable(model);
  report.optimizer_bytes = report.trainable.optimizer_bytes();
  report.memory = plan_memory(
      {model, command.options, session.device, /*balance=*/true, /*teacher=*/nullptr, command.options.keep_best});
  const std::int64_t context = context_of(session, command.options, model);
  const PackedWindows windows = training_windows(task, context);
  require_validation(task, command.options, context);
  if (command.dry_run) return report;

  const OperationData data{"train", task.record.name, task.record.data_path, task.record.content_hash};
  run_operation(session, target_model(base, command.into), {data}, [&](std::int64_t operation) {
    record_task(session, task, operation);
    const std::vector<TaskData> tasks = readable_tasks(session, tokenizer);
    const RunIdentity identity{base.record.hash, content_of(task), command.replay > 0 ? content_of(tasks) : ""};
    const RunFolder folder(session, identity, command.restart);
    training.group = session.group;
    training.run_folder = folder.path();
    report.run_folder = folder.path().string();
    training.batches = task_batches(windows, tasks, task.record.name, command.replay, command.options);
    const auto before = losses(session, base.record.hash, base.model, tasks, command.eval_tokens, operation);
    TrainingCopy copy(model, session.device, command.options.bfloat16, everything);
    training.model = &copy.model();
    training.parameters = make_trainable(copy.model(), everything);
    report.training = train(training, command.options,
                            hooks_for(session, session.command, command.options,
                                      validation_of(session, copy.model(), task, context, command.eval_tokens)));
    copy.bring_back();
    make_untrainable(model);
    const CommitResult commit = commit_model(session, operation, base, model, command.into);
    report.version = commit.version;
    report.kept_beside = commit.kept_beside;
    report.tasks = changes(tasks, before, unmeasured(tasks));
    report.cut_off = after_commit([&] {
      folder.finish();
      report.added_bytes = session.registry.added_bytes(commit.version.hash);
      report.tasks = changes(tasks, before, losses(session, commit.version.hash, model, tasks, command.eval_tokens));
    });
  });
  return report;
}

std::int64_t context_of(const Session& session, const StepOptions& options, const Model& model) {
  if (options.context <= 0) return model.config.default_context();
  say_if_longer(session, options.context, model.config, ": it is trained so, but evaluated and used at its own");
  return options.context;
}

PackedWindows training_windows(const TaskData& task, std::int64_t context) {
  PackedWindows windows(task.tokens.require(Split::train), context, LastWindow::drop);
  if (windows.next_with_target(0)) return windows;
  throw Error("the training text of '" + task.record.name + "' has no token to learn: all are prompts'",
              "choose a shorter --context, so that less of its end is left out, or give more records");
}

std::vector<std::optional<Evaluation>> losses(Session& session, const std::string& version, const Model& model,
                                              const std::vector<TaskData>& tasks, std::int64_t max_tokens,
                                              std::int64_t operation) {
  std::vector<std::optional<Evaluation>> all;
  all.reserve(tasks.size());
  const Model there = on_device(model, session.device);
  for (const TaskData& task : tasks) {
    try {
      all.push_back(version.empty() ? evaluate_task(session, there, task, Split::held_out, max_tokens)
                                    : scored(session, version, there, task, max_tokens, operation));
    } catch (const EvaluationInterrupted&) {
      throw;
    } catch (const Error& e) {
      session.watcher.say("task '" + task.record.name + "' is not measured: " + e.what());
      all.emplace_back();
    }
  }
  return all;
}

std::vector<std::optional<Evaluation>> unmeasured(const std::vector<TaskData>& tasks) {
  return std::vector<std::optional<Evaluation>>(tasks.size());
}

std::vector<PackedWindows> windows_of_others(const std::vector<TaskData>& tasks, const std::string& except,
                                             std::int64_t context) {
  std::vector<PackedWindows> windows;
  for (const TaskData& task : tasks) {
    if (task.record.name == except) continue;
    if (static_cast<std::int64_t>(task.tokens.train.tokens().size()) <= context) continue;
    windows.emplace_back(task.tokens.train, context, LastWindow::drop);
  }
  return windows;
}

BatchSource task_batches(const PackedWindows& windows, const std::vector<TaskData>& tasks, const std::string& own,
                         double replay, const StepOptions& options, double memory) {
  if (replay == 0) return shuffled_batches(windows, options.seed, options.batch_size);
  auto others = windows_of_others(tasks, own, windows.context());
  if (others.empty()) {
    throw Error("--replay needs an earlier task whose data can be read, and there is none",
                "record one: mformer task add NAME --data DIR");
  }
  return batches_with_replay(windows, std::move(others), replay, options.seed, options.batch_size, memory);
}

std::vector<TaskChange> changes(const std::vector<TaskData>& tasks,
                                const std::vector<std::optional<Evaluation>>& before,
                                const std::vector<std::optional<Evaluation>>& after, std::size_t domains_before,
                                std::size_t domains_after) {
  std::vector<TaskChange> all;
  all.reserve(tasks.size());
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    TaskChange change{tasks[i].record.name, std::nullopt, std::nullopt, 0};
    if (before[i].has_value()) change.before = before[i]->loss, change.tokens = before[i]->tokens;
    if (after[i].has_value()) change.after = after[i]->loss, change.tokens = after[i]->tokens;
    if (domains_after > domains_before && after[i].has_value() && after[i]->posterior.has_value()) {
      add_bound(change, after[i]->posterior->earlier.at(domains_before));
    }
    all.push_back(std::move(change));
  }
  return all;
}

namespace {

bool has_validation_target(const TaskData& task, std::int64_t context) {
  const TokenData& tokens = task.tokens.validation;
  return tokens.tokens().size() >= 2 && PackedWindows(tokens, context, LastWindow::pad).next_with_target(0).has_value();
}

}  // namespace

void require_validation(const TaskData& task, const ValidationOptions& options, std::int64_t context) {
  if (!options.chooses() || has_validation_target(task, context)) return;
  throw Error(
      "--keep-best and --patience go by validation losses, and task '" + task.record.name + "' has no validation text",
      "give it more documents, or leave them out");
}

std::function<double()> validation_of(const Session& session, const Model& model, const TaskData& task,
                                      std::int64_t context, std::int64_t max_tokens) {
  if (!has_validation_target(task, context)) return {};
  return [&session, &model, &task, context, max_tokens] {
    return evaluate_task(session, model, task, Split::validation, max_tokens, context)->loss;
  };
}

}  // namespace mformer
