#pragma once

#include <c10/core/ScalarType.h>

#include "core/model/model.h"

namespace mformer {

/// As allocate_model(), but the parameters take no memory: they are on at::kMeta, where shapes and types can be asked
/// for, and nothing else.
Model outline_model(const ModelConfig& config, at::ScalarType dtype);

}  // namespace mformer
