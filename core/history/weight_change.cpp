#include "core/history/weight_change.h"

#include <ATen/ops/linalg_vector_norm.h>

#include <cmath>

#include "core/formats/parameter_names.h"
#include "core/workspace/object_parts.h"
#include "core/workspace/version_parameters.h"
#include "modules_registry/error.h"

namespace mformer {
namespace {

double norm_of(const at::Tensor& weights) {
  return at::linalg_vector_norm(weights.to(at::kDouble)).item<double>();
}

/// Nothing where the weights are codes rather than numbers, or the forms of the two differ.
std::optional<WeightChange> change_of(VersionParameters& before, VersionParameters& after, const ModuleChange& module) {
  WeightChange sum;
  for (const char* tensor : kModuleTensors) {
    const at::Tensor old = before(names::module(module.layer, module.kind, module.index_before) + "." + tensor);
    const at::Tensor now = after(names::module(module.layer, module.kind, module.index_after) + "." + tensor);
    if (!old.defined() && !now.defined()) continue;
    if (!old.defined() || !now.defined() || old.sizes() != now.sizes()) return std::nullopt;
    if (!at::isFloatingType(old.scalar_type()) || !at::isFloatingType(now.scalar_type())) return std::nullopt;
    sum += {norm_of(now.to(at::kDouble) - old.to(at::kDouble)), norm_of(old)};
  }
  return sum;
}

}  // namespace

std::optional<double> WeightChange::relative() const {
  if (before == 0) return std::nullopt;
  return change / before;
}

WeightChange& WeightChange::operator+=(const WeightChange& other) {
  change = std::hypot(change, other.change);
  before = std::hypot(before, other.before);
  return *this;
}

std::map<std::string, WeightChange> weight_changes(const Registry& registry, const VersionRecord& before,
                                                   const VersionRecord& after, const VersionDiff& diff,
                                                   const std::function<bool()>& should_stop) {
  std::map<std::string, WeightChange> changes;
  VersionParameters old(registry, before), now(registry, after);
  for (const ModuleChange& module : diff.modules) {
    if (!module.weights) continue;
    if (should_stop && should_stop()) throw StoppedError("stopped while comparing weights", "nothing was written");
    if (const auto change = change_of(old, now, module)) changes.emplace(module.uid, *change);
  }
  return changes;
}

}  // namespace mformer
