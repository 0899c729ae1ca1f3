#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/model/model.h"
#include "modules_registry/records.h"

namespace mformer {

/// How new modules begin.
enum class NewModules {
  copy,      ///< Copies of the modules that the new domain uses most, with a little noise so that they can part.
  random,    ///< As make_module().
  unchanged  ///< A copied input map and a zero output map: at first they add nothing to the residual stream.
};

/// How many modules each of the chosen layers gets.
struct NewModuleCounts {
  std::optional<std::int64_t> experts, heads;  ///< Feed-forward and attention modules; absent = as many as fit.
  std::string layers;                          ///< "0-3" or "2"; empty = all.
  bool equal = false;  ///< As many of a kind in every chosen layer also where the number is open.
};

/// Where new modules come from: positions in the base's bank, in the order of the new modules.
using NewModulePlan = std::map<std::pair<int, Kind>, std::vector<std::int64_t>>;

/// Chooses them: the modules that the new domain uses most (`stats`, from collect_routing on `model`), as many in each
/// chosen layer as the counts say. Where they leave the number open, modules are taken in the order of the router mass
/// that their bank's better ones already hold, until `weights` would be exceeded; but if there would be no module at
/// all, one.
NewModulePlan plan_new_modules(const Model& model, const NewModuleCounts& counts, const std::vector<RoutingStat>& stats,
                               std::int64_t weights);

/// Whether the parameter is of a module that no version has yet: one without a uid.
bool is_of_new_module(const Model& model, const ParameterRef& ref);

/// Takes the modules at these positions out of the bank; the config's counts are the caller's.
void remove_modules(ModuleBank& bank, std::vector<std::int64_t> positions);

/// Appends new modules by the plan to the model's banks. Copies that take another's place (`replace`) begin as exact
/// copies, and the originals leave the model; others get a little noise, so that the two can part.
void add_new_modules(Model& model, const NewModulePlan& plan, NewModules start, bool replace, std::uint64_t seed);

}  // namespace mformer
