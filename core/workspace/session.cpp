#include "core/workspace/session.h"

#include <cmath>
#include <limits>
#include <map>
#include <utility>

#include "core/model/placement.h"

namespace mformer {

std::string stage_of(const std::string& task, Split split) {
  return (split == Split::validation ? "validate " : "evaluate ") + task;
}

void require_same_data(const Session& session, const TaskData& task) {
  if (session.group == nullptr) return;
  require_same(*session.group, "the data of task '" + task.record.name + "'", task.record.content_hash,
               "every process reads the data itself: give all of them the same text, or one folder that all see");
}

EvaluateOptions evaluate_options(const Session& session, const std::string& stage, std::int64_t max_tokens) {
  EvaluateOptions options;
  options.max_tokens = max_tokens;
  options.should_stop = session.watcher.should_stop;
  options.progress = [&watcher = session.watcher, stage](std::int64_t done, std::int64_t total) {
    watcher.tell(stage, done, total);
  };
  return options;
}

void say_if_longer(const Session& session, std::int64_t context, const ModelConfig& config, const std::string& then) {
  if (context <= config.block_size) return;
  session.watcher.say("--context " + std::to_string(context) + " is longer than the model's own, " +
                      std::to_string(config.block_size) + then);
}

std::optional<Evaluation> evaluate_task(const Session& session, const Model& model, const TaskData& task, Split split,
                                        std::int64_t max_tokens, std::int64_t context, PosteriorMode mode,
                                        const std::string& stage) {
  const TokenData& tokens = task.tokens.split(split);
  if (tokens.tokens().size() < 2) return std::nullopt;
  EvaluateOptions options =
      evaluate_options(session, stage.empty() ? stage_of(task.record.name, split) : stage, max_tokens);
  options.mode = mode;
  options.group = session.group;
  require_same_data(session, task);
  const PackedWindows windows(tokens, context > 0 ? context : model.config.default_context(), LastWindow::pad);
  if (!windows.next_with_target(0)) return std::nullopt;
  return evaluate(on_device(model, session.device), windows, options);
}

namespace {

/// What is kept of one evaluation, by the metric's name and the part of it, which is -1 of one that has no parts.
using Metrics = std::map<std::pair<std::string, int>, double>;

Metrics metrics_of(const Evaluation& evaluation) {
  Metrics metrics = {{{"loss", -1}, evaluation.loss}};
  if (evaluation.posterior.has_value()) {
    metrics[{"documents", -1}] = static_cast<double>(evaluation.posterior->documents);
    metrics[{"observed", -1}] = static_cast<double>(evaluation.posterior->observed);
    for (int h = 0; const double share : evaluation.posterior->shares) metrics[{"share", h++}] = share;
    for (int k = 0; const auto& earlier : evaluation.posterior->earlier) {
      metrics[{"earlier", k}] = earlier.loss;
      metrics[{"bound", k++}] = earlier.bound;
    }
  }
  return metrics;
}

std::optional<Evaluation> from_metrics(const Metrics& metrics, std::int64_t tokens) {
  const auto known = [&](const char* name, int part = -1) { return metrics.count({name, part}) != 0; };
  const auto value = [&](const char* name, int part = -1) { return metrics.at({name, part}); };
  if (!known("loss")) return std::nullopt;
  Evaluation evaluation{value("loss"), tokens};
  if (known("documents")) {
    if (!known("observed") || !known("bound", 0)) return std::nullopt;
    PosteriorSummary summary{{}, std::llround(value("documents")), std::llround(value("observed"))};
    for (int h = 0; known("share", h); ++h) summary.shares.push_back(value("share", h));
    for (int k = 0; known("bound", k); ++k) summary.earlier.push_back({value("earlier", k), value("bound", k)});
    evaluation.posterior = summary;
  }
  return evaluation;
}

}  // namespace

Measured measured_on(Split split, std::int64_t max_tokens, std::int64_t operation) {
  const char* name = split == Split::train ? "train" : split == Split::validation ? "validation" : "held_out";
  return {name, max_tokens, operation};
}

std::optional<Evaluation> known_score(const Registry& registry, const std::string& version, const std::string& task,
                                      std::int64_t max_tokens) {
  const Measured wanted = measured_on(Split::held_out, max_tokens);
  Metrics known;
  std::int64_t tokens = 0;
  for (const Score& score : registry.scores(version, task)) {
    if (score.split != wanted.split || score.token_limit != wanted.token_limit) continue;
    known[{score.metric, score.part}] = score.value;
    tokens = score.token_count;
  }
  return from_metrics(known, tokens);
}

std::optional<Evaluation> scored(Session& session, const std::string& version, const Model& model, const TaskData& task,
                                 std::int64_t max_tokens, std::int64_t operation) {
  // Its name can be removed or changed while a command measures all tasks: then there is nowhere to keep it.
  if (!session.registry.has_task(task.record.name)) {
    return evaluate_task(session, model, task, Split::held_out, max_tokens);
  }
  const auto known = known_score(session.registry, version, task.record.name, max_tokens);
  if (known.has_value()) return known;
  const auto result = evaluate_task(session, model, task, Split::held_out, max_tokens);
  keep_score(session, version, task.record.name, result, max_tokens, operation);
  return result;
}

void keep_score(Session& session, const std::string& version, const std::string& task,
                const std::optional<Evaluation>& result, std::int64_t max_tokens, std::int64_t operation) {
  if (!result.has_value() || !std::isfinite(result->loss) || !session.registry.has_task(task)) return;
  const Measured on = measured_on(Split::held_out, max_tokens, operation);
  session.registry.atomically([&] {  // killed on the way, all or nothing is known
    for (const auto& [metric, value] : metrics_of(*result)) {
      session.registry.put_score(
          {version, task, on.split, metric.first, value, result->tokens, operation, 0, on.token_limit, metric.second});
    }
  });
}

TrainHooks hooks_for(const Session& session, const std::string& stage, const TrainOptions& options,
                     std::function<double()> validate) {
  TrainHooks hooks;
  hooks.should_stop = session.watcher.should_stop;
  hooks.validate = std::move(validate);
  hooks.on_step = [&session, stage, steps = options.steps](const StepReport& report) {
    if (report.validation_loss.has_value()) {
      session.watcher.say("step " + std::to_string(report.step) + ": validation loss " +
                          std::to_string(*report.validation_loss));
    }
    if (session.watcher.progress) {
      session.watcher.progress(stage, report.step, steps, report.loss, report.tokens_per_second);
    }
  };
  return hooks;
}

}  // namespace mformer
