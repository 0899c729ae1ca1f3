#pragma once

#include <string>
#include <vector>

namespace mformer {

/// What a module's worth for a task is taken to be, on tokens of the task's training split.
enum class Criterion {
  frequency,  ///< Share of its bank's top-k slots.
  gate_mass,  ///< Mean gate over all tokens.
  reap,       ///< Mean over its tokens of gate · ‖output‖ (after REAP, arXiv 2510.13999).
  norm,       ///< ‖in‖ · ‖out‖ (Frobenius), no data needed.
  random      ///< By the seed: the control.
};
/// In the order of the enumeration.
const std::vector<std::string>& criterion_names();
/// Throws UsageError with the nearest names.
Criterion criterion_from_string(const std::string& text);
const std::string& to_string(Criterion criterion);
/// Whether the criterion is read from routing statistics.
bool needs_statistics(Criterion criterion);

enum class PruneScope {
  layer,  ///< The fraction is kept in each (layer, kind).
  global  ///< The fraction is kept of each kind over all layers, and at least k in each layer.
};
/// "layer" or "global"; throws UsageError for anything else.
PruneScope scope_from_string(const std::string& text);

}  // namespace mformer
