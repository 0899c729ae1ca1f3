#pragma once

#include <string>
#include <vector>

#include "core/model/model.h"

namespace mformer {

/// The names, as in a checkpoint, of the tensors that hold a weight that is not a finite number; private parts of
/// domains as "german/ln_f.weight". Empty for a sound model. Reads every weight once.
std::vector<std::string> tensors_not_finite(const Model& model);

}  // namespace mformer
