#pragma once

#include <string>
#include <vector>

#include "core/workflows/train.h"
#include "core/workspace/routing_stats.h"

namespace mformer {

/// How new modules begin.
enum class NewModules {
  copy,      ///< Copies of the modules that the new domain uses most, with a little noise so that they can part.
  random,    ///< As make_module().
  unchanged  ///< A copied input map and a zero output map: at first they add nothing to the residual stream.
};
/// Throws UsageError with the known names.
NewModules new_modules_from_string(const std::string& text);

struct ExtendCommand : TrainCommand {
  std::int64_t experts = 4;  ///< New feed-forward modules in each chosen layer.
  std::int64_t heads = 2;    ///< New attention modules in each chosen layer.
  std::string layers;        ///< "0-3" or "2"; empty = all.
  NewModules start = NewModules::copy;
  double replay = 0;              ///< Share of training windows from earlier tasks, 0 … 1.
  double penalty = 0;             ///< Weight of the router mass that old text gives to new modules.
  std::int64_t review_steps = 0;  ///< Further steps that train only the new router rows, on a half-and-half mix.
};

/// Leak of one earlier task.
struct TaskLeak {
  std::string task;
  std::vector<LeakRow> rows;
  double mean = 0;
};

struct ExtendReport : TrainReport {
  std::int64_t new_att = 0, new_mlp = 0;  ///< Modules added in all.
  std::vector<TaskLeak> leak;             ///< For every task but the new one.
  double use = 0;                         ///< The new domain's share of slots in new modules.
  ModelSize size_before, size_after;
};

/// Adds modules to every chosen layer and trains only them and their router rows on the new domain; everything old is
/// frozen and keeps its objects. `penalty` weighs the mean router probability that tokens give to new modules: of
/// replayed tokens where there is replay, of all tokens otherwise.
ExtendReport extend(Session& session, const LoadedVersion& base, const ExtendCommand& command);

}  // namespace mformer
