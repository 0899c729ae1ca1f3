#include "core/workspace/session.h"

#include <cmath>
#include <limits>
#include <map>

#include "core/model/placement.h"

namespace mformer {
namespace {

constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

}  // namespace

std::string stage_of(const std::string& task, Split split) {
  return (split == Split::validation ? "validate " : "evaluate ") + task;
}

std::optional<Evaluation> evaluate_task(const Session& session, const Model& model, const TaskData& task, Split split,
                                        std::int64_t max_tokens, std::int64_t context, PosteriorMode mode,
                                        const std::string& stage) {
  const TokenData& tokens = task.tokens.split(split);
  if (tokens.tokens().size() < 2) return std::nullopt;
  EvaluateOptions options;
  options.max_tokens = max_tokens;
  options.mode = mode;
  options.should_stop = session.watcher.should_stop;
  options.progress = [&, name = stage.empty() ? stage_of(task.record.name, split) : stage](std::int64_t done,
                                                                                           std::int64_t total) {
    if (session.watcher.progress) session.watcher.progress(name, done, total, kUnknown, kUnknown);
  };
  const PackedWindows windows(tokens, context > 0 ? context : model.config.default_context(), LastWindow::pad);
  if (!windows.next_with_target(0)) return std::nullopt;
  return evaluate(on_device(model, session.device), windows, options);
}

namespace {

/// What is kept of one evaluation, by the metric's name without its number of tokens.
using Metrics = std::map<std::string, double>;

Metrics metrics_of(const Evaluation& evaluation) {
  Metrics metrics = {{"loss", evaluation.loss}};
  if (evaluation.posterior.has_value()) {
    metrics["documents"] = static_cast<double>(evaluation.posterior->documents);
    metrics["observed"] = static_cast<double>(evaluation.posterior->observed);
    for (std::size_t h = 0; h < evaluation.posterior->shares.size(); ++h) {
      metrics["share." + std::to_string(h)] = evaluation.posterior->shares[h];
    }
    for (std::size_t k = 0; k < evaluation.posterior->earlier.size(); ++k) {
      metrics["earlier." + std::to_string(k)] = evaluation.posterior->earlier[k].loss;
      metrics["bound." + std::to_string(k)] = evaluation.posterior->earlier[k].bound;
    }
  }
  return metrics;
}

std::optional<Evaluation> from_metrics(const Metrics& metrics, std::int64_t tokens) {
  if (metrics.count("loss") == 0) return std::nullopt;
  Evaluation evaluation{metrics.at("loss"), tokens};
  if (metrics.count("documents") != 0) {
    if (metrics.count("observed") == 0 || metrics.count("bound.0") == 0) return std::nullopt;
    PosteriorSummary summary{{}, std::llround(metrics.at("documents")), std::llround(metrics.at("observed"))};
    for (std::size_t h = 0; metrics.count("share." + std::to_string(h)) != 0; ++h) {
      summary.shares.push_back(metrics.at("share." + std::to_string(h)));
    }
    for (std::size_t k = 0; metrics.count("bound." + std::to_string(k)) != 0; ++k) {
      summary.earlier.push_back({metrics.at("earlier." + std::to_string(k)), metrics.at("bound." + std::to_string(k))});
    }
    evaluation.posterior = summary;
  }
  return evaluation;
}

}  // namespace

std::optional<Evaluation> known_score(const Registry& registry, const std::string& version, const std::string& task,
                                      std::int64_t max_tokens) {
  const std::string suffix = std::to_string(max_tokens);
  Metrics known;
  std::int64_t tokens = 0;
  for (const Score& score : registry.scores(version, task)) {
    const std::size_t at = score.metric.rfind('@');
    if (score.split != "held_out" || at == std::string::npos || score.metric.substr(at + 1) != suffix) continue;
    known[score.metric.substr(0, at)] = score.value;
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
  const std::string suffix = "@" + std::to_string(max_tokens);
  session.registry.atomically([&] {  // killed on the way, all or nothing is known
    for (const auto& [metric, value] : metrics_of(*result)) {
      session.registry.put_score({version, task, "held_out", metric + suffix, value, result->tokens, operation, 0});
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
