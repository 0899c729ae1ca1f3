#pragma once

#include <string>

#include "core/workspace/version_store.h"

namespace mformer {

/// Who can load what is written.
enum class CardReaders {
  mformer,           ///< Nobody but mformer.
  family,            ///< Also the model class of the family.
  transformers_code  ///< Also transformers with the modelling file beside it.
};

/// README.md of an export, as pages of the hub show it: what the model is, the commands that made it from its first
/// version on, which modules they gave birth to and which of the first ones are gone, its domains, and how to load it.
/// The licence is left to the user: a line says so. `written` is the version as it is written (one hypothesis, say).
/// Nothing of it depends on the clock or the machine, and of folders that commands were given it has the last name
/// only.
std::string model_card(const Registry& registry, const VersionRecord& version, const Model& written,
                       CardReaders readers);

}  // namespace mformer
