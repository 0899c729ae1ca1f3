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
/// The same, of an offer whose versions were read before.
Offer offer_of(const nlohmann::json& json, std::vector<std::string> versions);
/// Adds what stands in a parcel under `field`: the whole of "model" and "current", one row of any other; of "sizes"
/// that of the object `name`. What is no field of a parcel is passed over.
void add_to_parcel(Parcel& parcel, const std::string& field, const std::string& name, const nlohmann::json& row);

/// A list of hashes of versions or objects.
std::vector<std::string> hashes_of(const nlohmann::json& json);
bool is_object_hash(std::string_view text);

}  // namespace mformer
