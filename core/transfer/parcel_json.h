#pragma once

#include <nlohmann/json.hpp>

#include "core/transfer/transfer.h"

namespace mformer {

// Offers, decisions and parcels as JSON: docs/transfer.md has the fields. Reading takes nothing on trust: whatever does
// not have the form, or is longer than it can be meant, throws Error.

nlohmann::json to_json(const Offer& offer);
nlohmann::json to_json(const Decision& decision);
nlohmann::json to_json(const Parcel& parcel);
Offer offer_of(const nlohmann::json& json);
Decision decision_of(const nlohmann::json& json);
Parcel parcel_of(const nlohmann::json& json);

/// A list of hashes of versions or objects.
std::vector<std::string> hashes_of(const nlohmann::json& json);
bool is_object_hash(std::string_view text);

}  // namespace mformer
