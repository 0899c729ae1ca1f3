#pragma once

#include <string>

#include "core/formats/model_config.h"
#include "core/text/tokenizer.h"
#include "modules_registry/registry.h"

// The tokenizer of a version, without its weights: nothing here knows tensors.
namespace mformer {

/// What task data is turned into tokens by: ends texts as the model does, and writes conversations by its chat
/// template. Throws Error with a hint if the version has no tokenizer.
Tokenizer tokenizer_of(const Registry& registry, const VersionRecord& version);

/// A tokenizer as it is in a file, made to end texts and write conversations as the config says; `version`, "base@2",
/// is for errors.
Tokenizer tokenizer_for(const ModelConfig& config, const Tokenizer& tokenizer, const std::string& version);

/// Throws the Error of a version that has none.
[[noreturn]] void refuse_without_tokenizer(const VersionRecord& version);

}  // namespace mformer
