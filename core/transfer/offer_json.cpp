#include <set>

#include "core/transfer/json_fields.h"
#include "core/transfer/parcel_json.h"

// Offers and decisions; parcel_json.cpp has parcels.
namespace mformer {
namespace {

using namespace fields;
using nlohmann::json;

}  // namespace

std::vector<std::string> hashes_of(const json& rows) {
  if (!rows.is_array()) fail_form("a list of hashes is none");
  std::vector<std::string> hashes;
  for (const json& row : rows) hashes.push_back(hash_of(row));
  return hashes;
}

json to_json(const std::vector<Measurements>& measured) {
  json rows = json::array();
  for (const Measurements& some : measured) rows.push_back({some.version, some.task, some.marks});
  return rows;
}

std::vector<Measurements> measurements_in(const json& object) {
  std::vector<Measurements> measured;
  if (!object.contains("measured")) return measured;
  for (const json& row : list(object, "measured")) {
    Measurements& some = measured.emplace_back(Measurements{hash_of(item(row, 0)), text_of(item(row, 1)), {}});
    if (!item(row, 2).is_array()) fail_form("a list of measurements is none");
    for (const json& mark : item(row, 2)) {
      some.marks.push_back(text_of(mark));
      const std::string& digits = some.marks.back();
      if (digits.size() != 32 || digits.find_first_not_of("0123456789abcdef") != std::string::npos) {
        fail_form("the mark of a measurement is none");
      }
    }
  }
  return measured;
}

json to_json(const Offer& offer) {
  return {{"model", offer.model},
          {"current", offer.current},
          {"versions", offer.versions},
          {"tags", offer.tags},
          {"measured", to_json(offer.measured)}};
}

Offer offer_of(const json& object) {
  return offer_of(object, hashes_of(member(object, "versions")));
}

Offer offer_of(const json& object, std::vector<std::string> offered) {
  Offer offer{name_of(member(object, "model"), "model"), hash_of(member(object, "current")), std::move(offered), {}};
  offer.measured = measurements_in(object);
  if (!object.contains("tags")) return offer;  // of an older program
  if (!object["tags"].is_object()) fail_form("'tags' is none");
  const std::set<std::string> versions(offer.versions.begin(), offer.versions.end());
  for (const auto& [name, hash] : object["tags"].items()) {
    if (!versions.contains(hash_of(hash))) fail_form("a tag is of no version of the model");
    offer.tags.emplace(name_of(name, "tag"), hash);
  }
  return offer;
}

json to_json(const Decision& decision) {
  json tags = json::array();
  for (const TagArrival& tag : decision.tags) tags.push_back({tag.name, tag.version, tag.there});
  return {{"arrival", to_string(decision.arrival)},
          {"into", decision.into},
          {"seen", decision.seen},
          {"want", decision.want},
          {"tags", std::move(tags)},
          {"measured", to_json(decision.measured)},
          {"different", decision.different}};
}

Decision decision_of(const json& object) {
  Decision decision{arrival_from_string(text(object, "arrival")),
                    name_of(member(object, "into"), "model"),
                    hash_of(member(object, "seen"), true),
                    hashes_of(member(object, "want")),
                    {}};
  decision.measured = measurements_in(object);
  if (object.contains("different")) decision.different = count(object, "different");
  if (!object.contains("tags")) return decision;  // of an older program
  for (const json& row : list(object, "tags")) {
    decision.tags.push_back({name_of(item(row, 0), "tag"), hash_of(item(row, 1)), text_of(item(row, 2))});
  }
  return decision;
}

}  // namespace mformer
