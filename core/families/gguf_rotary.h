#pragma once

#include <nlohmann/json_fwd.hpp>

#include "core/families/gguf_fields.h"
#include "core/formats/model_form.h"

namespace mformer {

/// Rotary positions of a GGUF model, as the fields `rope_theta` and `rope_scaling` of `hub`: from its metadata, and
/// from the tensor rope_freqs.weight, which holds what each frequency is divided by and in which Llama 3.1 and its kin
/// are recognised. Throws Error for what mformer does not compute.
void read_gguf_rotary(GgufFields& fields, std::int64_t head_size, std::int64_t context, nlohmann::json& hub);

/// The reverse for llama3, what rope_freqs.weight must hold: half as many numbers as a head has. Empty for other kinds.
std::vector<float> gguf_rotary_divisors(const Rotary& rotary, std::int64_t head_size);

}  // namespace mformer
