#pragma once

#include <string>
#include <vector>

#include "core/workflows/hypothesis.h"
#include "core/surgery/prune_selection.h"

namespace mformer {

struct KeepCurveCommand {
  std::string task;
  std::vector<double> fractions = {1.0, 0.75, 0.5, 0.4, 0.3, 0.25, 0.125};
  std::vector<Criterion> criteria = {Criterion::gate_mass, Criterion::frequency, Criterion::reap, Criterion::norm,
                                     Criterion::random};
  /// Of a version with domains, the hypothesis that is looked at: "base" or a domain; empty = choose_hypothesis().
  std::string domain;
  std::int64_t seeds = 3;  ///< Draws of the random criterion.
  PruneScope scope = PruneScope::layer;
  std::int64_t stat_tokens = 65536;  ///< Training tokens that the statistics are taken from; 0 = all.
  std::int64_t max_tokens = 65536;   ///< Tokens of the split that each loss is measured on; 0 = all.
  Split split = Split::validation;   ///< Choose on validation, report on held-out text.

  /// Throws UsageError naming the option for values out of range.
  void validate() const;
};

/// The task's loss with a fraction of the modules kept, no step trained.
struct KeepCurvePoint {
  Criterion criterion = Criterion::gate_mass;
  double keep = 1;
  std::int64_t att_kept = 0, mlp_kept = 0;  ///< In all layers.
  std::vector<double> losses;               ///< Nats per token; one for each seed of the random criterion, else one.
  double mean = 0;
  double spread = 0;  ///< Sample standard deviation; 0 of one loss.
};

struct KeepCurve {
  HypothesisChoice hypothesis;
  double full_loss = 0;  ///< Of the whole model.
  std::int64_t tokens = 0;
  std::int64_t att_modules = 0, mlp_modules = 0;
  std::vector<std::uint64_t> seeds;    ///< Of the random criterion.
  std::vector<KeepCurvePoint> points;  ///< By criterion, then by fraction, each in the command's order.
};

/// One-shot loss against the fraction of modules kept. Statistics are collected once, and a selection that several
/// fractions or criteria share is measured once. Nothing is written. Throws Error where the split has no documents.
KeepCurve keep_curve(Session& session, const LoadedVersion& version, const KeepCurveCommand& command);

}  // namespace mformer
