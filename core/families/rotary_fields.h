#pragma once

#include <nlohmann/json_fwd.hpp>

#include "core/formats/model_form.h"

namespace mformer {

class HubFields;

/// `rope_theta` and `rope_scaling` (transformers 4) or `rope_parameters` (5). `context`: what the model reads, for
/// kinds that do not say what it read before. Throws Error for a kind that mformer does not compute.
Rotary read_rotary(HubFields& hub, std::int64_t context, double default_theta);

/// In the spelling of transformers 4.
void write_rotary(const Rotary& rotary, nlohmann::json& hub);

}  // namespace mformer
