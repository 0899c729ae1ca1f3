#pragma once

#include <c10/core/ScalarType.h>

#include "core/model/model.h"

namespace mformer {

/// A model of the (validated) config's geometry without its weights: the parameters, of this dtype (int8 codes and
/// float32 scales where it is quantised), take no memory. They are on at::kMeta, where shapes and types can be asked
/// for, and nothing else.
Model outline_model(const ModelConfig& config, at::ScalarType dtype);

}  // namespace mformer
