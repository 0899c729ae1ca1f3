#include "core/workspace/session.h"

#include <ATen/Parallel.h>

#include <cmath>
#include <limits>
#include <map>

#include "core/model/placement.h"

namespace mformer {
namespace {

constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

std::string name_of_folder(const std::string& data) {
  std::filesystem::path path = std::filesystem::path(data).lexically_normal();
  if (!path.has_filename()) path = path.parent_path();
  return path.stem().string();
}

std::optional<TaskRecord> known_task(const Registry& registry, const std::string& name) {
  for (const TaskRecord& task : registry.tasks()) {
    if (task.name == name) return task;
  }
  return std::nullopt;
}

/// A task keeps being read as it was recorded.
void require_same_fields(const TaskRecord& record, const std::string& asked) {
  if (asked.empty() || asked == record.fields) return;
  throw UsageError("task '" + record.name + "' is read with " +
                       (record.fields.empty() ? "the known names of fields" : "--fields " + record.fields) +
                       ", not with " + asked,
                   "to read its data otherwise, add it anew: mformer task add NAME --data DIR --fields " + asked);
}

}  // namespace

void run_operation(const Session& session, const std::string& model, const std::vector<OperationData>& data,
                   const std::function<void(std::int64_t)>& work) {
  Registry& registry = session.registry;
  OperationStart start;
  start.command = session.command;
  start.arguments_json = session.arguments_json;
  start.seed = static_cast<std::int64_t>(session.seed);
  start.code_version = session.code_version;
  start.model = model;
  start.data = data;
  const std::int64_t operation = registry.begin_operation(start);
  try {
    work(operation);
    registry.finish_operation(operation, Outcome::done);
  } catch (const TrainingInterrupted& e) {
    registry.finish_operation(operation, Outcome::interrupted, e.what());
    throw;
  } catch (const EvaluationInterrupted& e) {
    registry.finish_operation(operation, Outcome::interrupted, e.what());
    throw;
  } catch (const StoppedError& e) {
    registry.finish_operation(operation, Outcome::interrupted, e.what());
    throw;
  } catch (const std::exception& e) {
    registry.finish_operation(operation, Outcome::failed, e.what());
    throw;
  }
}

TaskData open_task(Session& session, const Tokenizer& tokenizer, const std::string& name, const std::string& data,
                   bool replace, const std::string& fields) {
  Registry& registry = session.registry;
  if (name.empty() && data.empty()) {
    throw UsageError("no task and no data were named",
                     "give --data DIR, or --task NAME of a known task (mformer tasks)");
  }
  TaskRecord record;
  const std::string asked = RecordFields::parse(fields).str();
  if (data.empty()) {
    record = registry.task(name);
    require_same_fields(record, asked);
  } else {
    record.name = name.empty() ? name_of_folder(data) : name;
    require_valid_name("task", record.name);
    record.data_path = std::filesystem::absolute(data).lexically_normal().string();
    record.heldout_rule = std::string(kSplitRule);
    const auto before = known_task(registry, record.name);
    record.fields = asked.empty() && before ? before->fields : asked;
  }
  const auto progress = [&](std::int64_t done, std::int64_t total) {
    if (session.watcher.progress) session.watcher.progress("tokenise " + record.name, done, total, kUnknown, kUnknown);
  };
  const std::filesystem::path cache = session.token_folder ? session.token_folder() : registry.folder() / "cache";
  TaskData task{record, build_token_cache(record.data_path, tokenizer, cache, progress, at::get_num_threads(),
                                          RecordFields::parse(record.fields))};
  const std::string& content = task.tokens.summary.content_hash;
  const auto known = known_task(registry, record.name);
  if (known.has_value() && known->content_hash != content && !replace) {
    throw Error("the data in " + record.data_path + " is not what is recorded as task '" + record.name + "'",
                "take it as the task's new data: mformer task add " + record.name + " --data " + record.data_path +
                    (asked.empty() ? "" : " --fields " + asked) + " --replace; or give it another name: --task NAME");
  }
  if (known.has_value() && known->content_hash == content) {
    task.record = *known;
    return task;
  }
  task.record.content_hash = content;
  task.record.document_count = task.tokens.summary.documents;
  task.record.left_out_files = task.tokens.summary.files_left_out();
  task.record.left_out_records = task.tokens.summary.records_left_out();
  task.record.token_count = 0;
  for (const Split split : {Split::train, Split::validation, Split::held_out}) {
    task.record.token_count += static_cast<std::int64_t>(task.tokens.split(split).tokens().size());
  }
  return task;
}

void say_what_was_left_out(const Session& session, const TaskData& task) {
  const std::string left_out = left_out_text(task.tokens.summary);
  if (left_out.empty() || task.record.created_operation != 0) return;
  std::string text = "left out of the data: " + left_out;
  for (const std::string& example : task.tokens.summary.examples) text += "; " + example;
  session.watcher.say(text);
}

void record_task(Session& session, TaskData& task, std::int64_t operation, bool replace) {
  if (task.record.created_operation == 0) task.record.created_operation = operation;
  session.registry.add_task(task.record, replace);
  task.record = session.registry.task(task.record.name);
}

std::optional<Evaluation> evaluate_task(const Session& session, const Model& model, const TaskData& task, Split split,
                                        std::int64_t max_tokens, std::int64_t context, PosteriorMode mode) {
  const TokenData& tokens = task.tokens.split(split);
  if (tokens.tokens().size() < 2) return std::nullopt;
  EvaluateOptions options;
  options.max_tokens = max_tokens;
  options.mode = mode;
  options.should_stop = session.watcher.should_stop;
  options.progress = [&](std::int64_t done, std::int64_t total) {
    if (session.watcher.progress)
      session.watcher.progress("evaluate " + task.record.name, done, total, kUnknown, kUnknown);
  };
  const PackedWindows windows(tokens, context > 0 ? context : model.config.block_size, LastWindow::pad);
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
  const auto known = known_score(session.registry, version, task.record.name, max_tokens);
  if (known.has_value()) return known;
  const std::string suffix = std::to_string(max_tokens);
  const auto result = evaluate_task(session, model, task, Split::held_out, max_tokens);
  if (result.has_value() && std::isfinite(result->loss)) {
    session.registry.atomically([&] {  // killed on the way, all or nothing is known
      for (const auto& [metric, value] : metrics_of(*result)) {
        session.registry.put_score(
            {version, task.record.name, "held_out", metric + "@" + suffix, value, result->tokens, operation, 0});
      }
    });
  }
  return result;
}

std::vector<TaskData> readable_tasks(Session& session, const Tokenizer& tokenizer) {
  std::vector<TaskData> tasks;
  for (const TaskRecord& record : session.registry.tasks()) {
    try {
      tasks.push_back(open_task(session, tokenizer, record.name, ""));
    } catch (const Error& e) {
      session.watcher.say("task '" + record.name + "' is left out: " + e.what());
    }
  }
  return tasks;
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
