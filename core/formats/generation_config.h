#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace mformer {

struct ModelConfig;

/// The token ids of an `eos_token_id` as checkpoints write it: one, a list, or null for none (-1 too). Throws Error,
/// naming `source`, for anything else.
std::vector<std::int64_t> read_end_tokens(const nlohmann::json& value, const std::string& source);

/// Takes the end tokens of a generation_config.json into `config`, after its own; in their place when `replace` says
/// that config.json named none. Its other fields are not used. Throws Error, naming `source`, when it is no JSON object
/// or its `eos_token_id` is none.
void take_generation_config(ModelConfig& config, std::string_view text, bool replace, const std::string& source);

/// A generation_config.json for other readers: which tokens begin and end a text.
std::string generation_config_json(const ModelConfig& config);

}  // namespace mformer
