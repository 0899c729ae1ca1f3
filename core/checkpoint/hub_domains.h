#pragma once

#include <string>

#include "core/checkpoint/hub_folder.h"
#include "core/model/model.h"

namespace mformer {

/// Private parts of the domains: "german/ln_f.weight" and, of vocabulary rows, their numbers in
/// "german/wte.rows_replaced".
inline constexpr const char* kDomainsFile = "mformer_domains.safetensors";

/// The bytes of that file.
std::string domains_file(const Model& model);

/// Gives `model`, whose weights were read from the folder, its domains. Throws Error where they do not fit it.
void read_domains(Model& model, const HubFolder& folder);

}  // namespace mformer
