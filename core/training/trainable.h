#pragma once

#include <functional>
#include <vector>

#include "core/model/model.h"
#include "core/training/adamw.h"

namespace mformer {

/// Says which parameters a command trains. Frozen modules are left out whatever it says.
using TrainFilter = std::function<bool(const ParameterRef&)>;

/// Turns gradients on for the parameters that pass the filter (and off for all others) and lists them. Norms, biases
/// and temperatures get no weight decay.
std::vector<TrainedParameter> make_trainable(Model& model, const TrainFilter& filter);

/// Whether the parameter is of a frozen module.
bool is_frozen(const Model& model, const ParameterRef& ref);

/// Turns gradients off everywhere.
void make_untrainable(Model& model);

/// How many weights a command trains, by what they are.
struct TrainableCount {
  std::int64_t trunk = 0, router = 0, att_modules = 0, mlp_modules = 0, module_rows = 0;
  std::int64_t total() const { return trunk + router + att_modules + mlp_modules + module_rows; }
  /// What AdamW keeps for them: two float32 moments a weight.
  std::int64_t optimizer_bytes() const { return total() * 2 * 4; }
};
TrainableCount count_trainable(Model& model);

}  // namespace mformer
