#pragma once

#include <optional>
#include <string>

#include "core/formats/chat_format.h"
#include "core/formats/gguf_header.h"

namespace mformer {

/// The chat template in the metadata of a GGUF file ("tokenizer.chat_template"), with the names of the special tokens
/// that templates speak of; nothing where there is none. Of several the one without a name counts. Throws Error, naming
/// `source`, for a template that is no text.
std::optional<ChatFormat> gguf_chat_format(const GgufMetadata& metadata, const std::string& source);

}  // namespace mformer
