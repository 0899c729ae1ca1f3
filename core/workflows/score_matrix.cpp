#include "core/workflows/score_matrix.h"

#include <set>
#include <utility>

#include "core/workflows/inspect.h"
#include "core/workflows/matrix_steps.h"
#include "core/workspace/stage_plan.h"
#include "core/workspace/version_store.h"

namespace mformer {
namespace {

/// The held-out loss that scored() kept for the same number of tokens.
std::optional<double> known_loss(const Registry& registry, const std::string& version, const std::string& task,
                                 std::int64_t max_tokens) {
  const auto known = known_score(registry, version, task, max_tokens);
  return known ? std::optional<double>(known->loss) : std::nullopt;
}

/// The workflow; the members are what its steps share.
class Measurement {
 public:
  Measurement(Session& session, const VersionRecord& version, const MatrixCommand& command, bool keep)
      : session_(session), command_(command), keep_(keep) {
    matrix_ = matrix_without_losses(session.registry, version, command.tasks);
    data_.resize(matrix_.tasks.size());
  }

  ScoreMatrix run() {
    if (command_.measure) announce_stages();
    if (matrix_.initial) matrix_.initial_losses = losses_of(*matrix_.initial);
    matrix_.initial_losses.resize(matrix_.tasks.size());
    for (const MatrixStep& step : matrix_.steps) matrix_.losses.push_back(losses_of(step.version));
    look_at_routing();
    return std::move(matrix_);
  }

 private:
  /// In the order of run(): a task is tokenised where it is first measured.
  void announce_stages() {
    StagePlan plan(session_);
    std::set<std::size_t> read;
    const auto reads = [&](const VersionRecord& version, std::size_t task) {
      // Of a lineage all have one tokenizer: the first that is measured, and loaded next, has it.
      if (read.insert(task).second) plan.tokenise(loaded_ ? *loaded_ : loaded(version), {matrix_.tasks[task].name});
    };
    std::set<std::pair<std::string, std::size_t>> measured;
    const auto losses_of = [&](const VersionRecord& version) {
      for (std::size_t j = 0; j < matrix_.tasks.size(); ++j) {
        if (known_loss(session_.registry, version.hash, matrix_.tasks[j].name, command_.max_tokens)) continue;
        if (!measured.insert({version.hash, j}).second && keep_) continue;
        reads(version, j);
        plan.evaluate({matrix_.tasks[j].name});
      }
    };
    if (matrix_.initial) losses_of(*matrix_.initial);
    for (const MatrixStep& step : matrix_.steps) losses_of(step.version);
    const VersionRecord& last = matrix_.steps.back().version;
    for (std::size_t j = 0; j < matrix_.tasks.size(); ++j) {
      const MatrixTask& task = matrix_.tasks[j];
      const Measured on = measured_on(Split::held_out, command_.max_tokens);
      if (!task.learned || !session_.registry.routing_stats(last.hash, task.name, on).empty()) continue;
      reads(last, j);
      plan.routing({task.name});
    }
    plan.announce();
  }

  /// A task's data where it can be read and has held-out text; asked for once.
  const TaskData* data_of(std::size_t task, const Tokenizer& tokenizer) {
    auto& [asked, data] = data_[task];
    if (!std::exchange(asked, true)) {
      const std::string& name = matrix_.tasks[task].name;
      try {
        data = open_task(session_, tokenizer, name, "");
        if (data->tokens.held_out.tokens().size() < 2) {
          session_.watcher.say("task '" + name + "' has no held-out text");
          data.reset();
        }
      } catch (const Error& e) {
        session_.watcher.say("task '" + name + "' can't be measured: " + e.what());
      }
    }
    return data ? &*data : nullptr;
  }

  /// The version's weights, one version at a time.
  const LoadedVersion& loaded(const VersionRecord& version) {
    if (!loaded_ || loaded_->record.hash != version.hash) loaded_ = load_version(session_.registry, version);
    return *loaded_;
  }

  std::vector<std::optional<double>> losses_of(const VersionRecord& version) {
    std::vector<std::optional<double>> losses;
    for (std::size_t j = 0; j < matrix_.tasks.size(); ++j) {
      losses.push_back(known_loss(session_.registry, version.hash, matrix_.tasks[j].name, command_.max_tokens));
      if (!losses.back() && command_.measure) losses.back() = measured(version, j);
    }
    return losses;
  }

  std::optional<double> measured(const VersionRecord& version, std::size_t task) {
    const LoadedVersion& model = loaded(version);
    const TaskData* data = data_of(task, require_tokenizer(model));
    if (data == nullptr) return std::nullopt;
    const auto result = keep_ ? scored(session_, version.hash, model.model, *data, command_.max_tokens)
                              : evaluate_task(session_, model.model, *data, Split::held_out, command_.max_tokens);
    return result ? std::optional<double>(result->loss) : std::nullopt;
  }

  /// Routing statistics of a task in the last version, on as many tokens as the losses where they are known or may be
  /// measured, else on whatever they are known; empty if they are not.
  std::vector<RoutingStat> routing_of(std::size_t task) {
    const VersionRecord& last = matrix_.steps.back().version;
    const std::string& name = matrix_.tasks[task].name;
    const Measured on = measured_on(Split::held_out, command_.max_tokens);
    auto stats = session_.registry.routing_stats(last.hash, name, on);
    if (!stats.empty()) return stats;
    if (!command_.measure) return session_.registry.routing_stats(last.hash, name);
    const LoadedVersion& model = loaded(last);
    const TaskData* data = data_of(task, require_tokenizer(model));
    if (data == nullptr) return session_.registry.routing_stats(last.hash, name);
    stats = collect_routing(session_, model.model, *data, Split::held_out, command_.max_tokens);
    if (keep_) session_.registry.put_routing_stats(last.hash, name, stats, on);
    return stats;
  }

  void look_at_routing() {
    const VersionRecord& last = matrix_.steps.back().version;
    std::vector<std::vector<RoutingStat>> stats;
    bool complete = true;
    for (std::size_t j = 0; j < matrix_.tasks.size(); ++j) {
      matrix_.leak.emplace_back();
      const auto learned = matrix_.tasks[j].learned;
      if (!learned) continue;
      const auto of_task = routing_of(j);
      complete = complete && !of_task.empty();
      if (of_task.empty()) continue;
      const auto later = session_.registry.born_after(matrix_.steps[*learned].version.hash, last.hash);
      matrix_.leak[j] = mean_leak(router_leak(of_task, later));
      stats.push_back(of_task);
    }
    if (complete && stats.size() > 1) matrix_.routing_divergence = mean_divergence(stats);
  }

  static double mean_divergence(const std::vector<std::vector<RoutingStat>>& stats) {
    double sum = 0;
    std::size_t pairs = 0;
    for (std::size_t a = 0; a < stats.size(); ++a) {
      for (std::size_t b = a + 1; b < stats.size(); ++b, ++pairs) sum += routing_divergence(stats[a], stats[b]);
    }
    return sum / static_cast<double>(pairs);
  }

  Session& session_;
  const MatrixCommand& command_;
  bool keep_;
  ScoreMatrix matrix_;
  std::vector<std::pair<bool, std::optional<TaskData>>> data_;  ///< Asked for?, and what came of it.
  std::optional<LoadedVersion> loaded_;
};

}  // namespace

ScoreMatrix score_matrix(Session& session, const VersionRecord& version, const MatrixCommand& command, bool keep) {
  return Measurement(session, version, command, keep).run();
}

}  // namespace mformer
