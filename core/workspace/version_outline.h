#pragma once

#include <string>

#include "core/checkpoint/stored_pieces.h"
#include "core/workspace/version_store.h"

namespace mformer {

/// As store_model(), of a model that need not be in memory: `outline` has all but the weights (hub_parameters.h), which
/// `parameter` gives, each asked for once, those of an object one after the other.
Manifest store_outline(Registry& registry, Model& outline, const ByParameter& parameter,
                       const std::string& tokenizer_object);

}  // namespace mformer
