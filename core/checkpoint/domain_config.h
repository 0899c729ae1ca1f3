#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "core/model/model.h"
#include "modules_registry/records.h"

namespace mformer {

/// The field of config.json that says which modules belong to which domain:
///     "mformer_domains": [{"name": "german", "alone": false, "att": [[8, 9], [8]], "mlp": [[16], []],
///                          "hidden_att": [[3, 5], [0]], "hidden_mlp": [[7], []],
///                          "stored_as": "int8"}]
/// with the positions, in each layer, of the domain's modules and of the base modules that it does not see; `stored_as`
/// only where Domain::eight_bits. Absent for a plain model.
inline constexpr const char* kDomainsField = "mformer_domains";

/// model.config with the field, made from the modules' own marks.
ModelConfig config_with_domains(const Model& model);

/// The other way: takes the field out of model.config, marks the modules and appends the domains, without parts.
/// Throws Error, naming `source`, when the field is malformed or names modules that are not there.
void take_domains(Model& model, const std::string& source);

/// The uids of each domain's modules by its name, and as "base" of those that belong to none; no weights are read.
/// Throws Error as take_domains().
std::map<std::string, std::set<std::string>> module_owners(const Manifest& manifest);

/// Throws Error, naming `source` and the part, unless all private parts of the domains have a place in the model, the
/// shape and an element type of what is there, and rows that exist, and every hypothesis can be made.
void require_views(const Model& model, const std::string& source);

}  // namespace mformer
