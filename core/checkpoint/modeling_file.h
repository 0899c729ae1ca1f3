#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace mformer {

/// The Python file that computes any model of ours in Hugging Face transformers, and its name beside the weights:
/// core/checkpoint/transformers/modeling_mformer.py as it was when the program was built.
inline constexpr const char* kModelingFile = "modeling_mformer.py";
const std::string& modeling_file();

/// The field `auto_map` of the config.json beside it: which of its classes transformers loads.
nlohmann::json auto_map();

}  // namespace mformer
