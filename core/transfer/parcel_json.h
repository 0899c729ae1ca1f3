#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/transfer/transfer.h"

namespace mformer {

// Offers, decisions and parcels as JSON: docs/transfer.md has the fields. Reading takes nothing on trust: whatever does
// not have the form, or is longer than it can be meant, throws Error.

nlohmann::json to_json(const Offer& offer);
nlohmann::json to_json(const Decision& decision);
Offer offer_of(const nlohmann::json& json);
Decision decision_of(const nlohmann::json& json);
/// The same, of an offer whose versions were read before.
Offer offer_of(const nlohmann::json& json, std::vector<std::string> versions);
/// A row as text, without line breaks; what is no UTF-8 in it is replaced.
std::string text_of_row(const nlohmann::json& row);

/// The lists of rows that a parcel has.
inline constexpr const char* kParcelLists[] = {"operations", "modules", "versions", "scores", "statistics"};
/// Takes a text piece by piece.
using TextSink = std::function<void(std::string_view)>;
/// Gives the parcel's JSON row by row: the same pieces each time.
void write_parcel(const Parcel& parcel, const TextSink& sink);
/// Reads that as it comes (json_rows.h): what this takes is a small multiple of what the parcel says, whoever wrote it.
Parcel read_parcel(const std::function<std::size_t(std::span<char>)>& more);
/// Adds what stands in a parcel under `field`: the whole of "model" and "current", one row of any other; of "sizes"
/// that of the object `name`. What is no field of a parcel is passed over.
void add_to_parcel(Parcel& parcel, const std::string& field, const std::string& name, const nlohmann::json& row);

/// Of Offer::measured and Decision::measured.
nlohmann::json to_json(const std::vector<Measurements>& measured);
/// Those under "measured", which an older program does not write.
std::vector<Measurements> measurements_in(const nlohmann::json& object);

/// A list of hashes of versions or objects.
std::vector<std::string> hashes_of(const nlohmann::json& json);
bool is_object_hash(std::string_view text);

}  // namespace mformer
