#include "core/workflows/keep_curve.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <utility>

#include "core/model/placement.h"
#include "core/workspace/routing_stats.h"
#include "core/workspace/selector.h"
#include "core/workspace/stage_plan.h"

namespace mformer {
namespace {

std::int64_t count_of(const ModuleSelection& selection, Kind kind) {
  std::int64_t sum = 0;
  for (const auto& positions : selection.of(kind)) sum += static_cast<std::int64_t>(positions.size());
  return sum;
}

/// Mean and sample standard deviation.
void summarise(KeepCurvePoint& point) {
  const auto n = static_cast<double>(point.losses.size());
  for (const double loss : point.losses) point.mean += loss / n;
  double squares = 0;
  for (const double loss : point.losses) squares += (loss - point.mean) * (loss - point.mean);
  point.spread = point.losses.size() > 1 ? std::sqrt(squares / (n - 1)) : 0.0;
}

class Curve {
 public:
  Curve(Session& session, const LoadedVersion& version, const KeepCurveCommand& command)
      : session_(session),
        command_(command),
        task_(open(session, version, command)),
        hypothesis_(choose_hypothesis(session, version, task_, command.domain)),
        model_(on_device(hypothesis_of(version, hypothesis_.name).model, session.device)) {
    announce(session, hypothesis_);
    if (needs_any_statistics(command)) {
      stats_ = collect_routing(session, model_, task_, Split::train, command.stat_tokens);
    }
  }

  KeepCurve measure() {
    KeepCurve curve;
    curve.hypothesis = hypothesis_;
    for (std::int64_t i = 0; i < command_.seeds; ++i) {
      curve.seeds.push_back(session_.seed + static_cast<std::uint64_t>(i));
    }
    count_losses(curve.seeds);
    const ModuleSelection all = all_modules(model_);
    const Evaluation full = loss_of(all);
    curve.full_loss = full.loss;
    curve.tokens = full.tokens;
    curve.att_modules = count_of(all, Kind::att);
    curve.mlp_modules = count_of(all, Kind::mlp);
    for (const Criterion criterion : command_.criteria) {
      for (const double keep : command_.fractions) curve.points.push_back(measure(criterion, keep, curve.seeds));
    }
    return curve;
  }

 private:
  /// The positions that are kept, of both kinds.
  using Key = std::pair<std::vector<std::vector<std::int64_t>>, std::vector<std::vector<std::int64_t>>>;

  KeepCurvePoint measure(Criterion criterion, double keep, const std::vector<std::uint64_t>& seeds) {
    KeepCurvePoint point;
    point.criterion = criterion;
    point.keep = keep;
    for (std::size_t i = 0; i < draws_of(criterion, seeds); ++i) {
      const ModuleSelection kept = chosen(criterion, keep, seeds[i]);
      point.att_kept = count_of(kept, Kind::att);
      point.mlp_kept = count_of(kept, Kind::mlp);
      point.losses.push_back(loss_of(kept).loss);
    }
    summarise(point);
    return point;
  }

  static TaskData open(Session& session, const LoadedVersion& version, const KeepCurveCommand& command) {
    const Tokenizer& tokenizer = require_tokenizer(version);
    std::int64_t losses = 1;
    for (const Criterion criterion : command.criteria) {
      losses +=
          static_cast<std::int64_t>(command.fractions.size()) * (criterion == Criterion::random ? command.seeds : 1);
    }
    const bool asks = command.domain.empty() && !version.model.domains.empty();
    StagePlan plan(session);
    plan.tokenise(version, {command.task}).then("hypothesis of " + command.task, asks ? 1 : 0);
    if (needs_any_statistics(command)) plan.routing({command.task});
    plan.then(stage_of(command.task, command.split), losses).announce();
    return open_task(session, tokenizer, command.task, "");
  }

  static bool needs_any_statistics(const KeepCurveCommand& command) {
    return std::any_of(command.criteria.begin(), command.criteria.end(), needs_statistics);
  }

  /// Several points may keep the same modules, which are measured once: so many losses are to come.
  void count_losses(const std::vector<std::uint64_t>& seeds) const {
    const ModuleSelection all = all_modules(model_);
    std::set<Key> keys = {{all.att, all.mlp}};
    for (const Criterion criterion : command_.criteria) {
      for (const double keep : command_.fractions) {
        for (std::size_t i = 0; i < draws_of(criterion, seeds); ++i) {
          const ModuleSelection kept = chosen(criterion, keep, seeds[i]);
          keys.insert({kept.att, kept.mlp});
        }
      }
    }
    StagePlan(session_)
        .then(stage_of(command_.task, command_.split), static_cast<std::int64_t>(keys.size()))
        .announce();
  }

  static std::size_t draws_of(Criterion criterion, const std::vector<std::uint64_t>& seeds) {
    return criterion == Criterion::random ? seeds.size() : 1;
  }

  ModuleSelection chosen(Criterion criterion, double keep, std::uint64_t seed) const {
    return keep_best(model_, {.keep = keep, .scope = command_.scope}, score_by(criterion, model_, stats_, seed));
  }

  Evaluation loss_of(const ModuleSelection& kept) {
    const Key key = {kept.att, kept.mlp};
    const auto known = measured_.find(key);
    if (known != measured_.end()) return known->second;
    const auto result = evaluate_task(session_, select(model_, kept), task_, command_.split, command_.max_tokens);
    if (!result.has_value()) {
      const bool validation = command_.split == Split::validation;
      throw Error(
          "task '" + task_.record.name + "' has no " + (validation ? "validation" : "held-out") + " text",
          validation ? "measure on held-out text, only to report: --split held-out" : "it needs more documents");
    }
    return measured_[key] = *result;
  }

  Session& session_;
  const KeepCurveCommand& command_;
  TaskData task_;
  HypothesisChoice hypothesis_;
  Model model_;
  std::vector<RoutingStat> stats_;
  std::map<Key, Evaluation> measured_;
};

}  // namespace

KeepCurve keep_curve(Session& session, const LoadedVersion& version, const KeepCurveCommand& command) {
  command.validate();
  return Curve(session, version, command).measure();
}

}  // namespace mformer
