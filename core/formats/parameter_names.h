#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "modules_registry/records.h"

// mformer's own names of parameters, stable within a version: of snapshots, private parts of domains, messages, and of
// the tensors in checkpoints of mformer's own layout.
namespace mformer::names {

inline constexpr std::string_view kEmbedding = "wte";
inline constexpr std::string_view kHead = "lm_head";
inline constexpr std::string_view kFinalNorm = "ln_f";

/// "h.3"
inline std::string layer(std::int64_t layer) {
  return "h." + std::to_string(layer);
}

/// "h.3.att"
inline std::string bank(std::int64_t layer_number, Kind kind) {
  return layer(layer_number) + "." + std::string(to_string(kind));
}

/// "h.3.att.rows": all rows of a bank that a domain has for itself, one below the other.
inline std::string bank_rows(std::int64_t layer_number, Kind kind) {
  return bank(layer_number, kind) + ".rows";
}

/// "h.3.att.7"
inline std::string module(std::int64_t layer_number, Kind kind, std::int64_t position) {
  return bank(layer_number, kind) + "." + std::to_string(position);
}

/// "domain german/h.0.ln_1.weight" is a private part of the domain german; parts of the trunk have no such prefix.
inline constexpr std::string_view kPrivatePrefix = "domain ";

/// The domain that a TrunkPart of this name is a private part of; empty for a part of the trunk.
inline std::string owner_of_part(const std::string& name) {
  if (!name.starts_with(kPrivatePrefix)) return "";
  return name.substr(kPrivatePrefix.size(), name.find('/') - kPrivatePrefix.size());
}

}  // namespace mformer::names
