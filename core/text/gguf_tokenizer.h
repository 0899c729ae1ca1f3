#pragma once

#include <filesystem>
#include <string>

#include "core/formats/gguf_file.h"

namespace mformer {

/// A tokenizer.json that encodes like the tokenizer in the metadata of a GGUF file ("tokenizer.ggml.…"): of the kinds
/// `gpt2` (byte letters, with merges) and `llama` (sentencepiece BPE, with scores). Control tokens become special
/// ones, tokens named by users others that are taken whole; unused ones at the end are left out; add_bos_token and
/// add_eos_token make the template. Throws Error, naming `source`, for other
/// kinds, for rules of cutting words (`tokenizer.ggml.pre`) that are not known, and for lists that contradict each
/// other.
std::string gguf_tokenizer_json(const GgufMetadata& metadata, const std::string& source);

/// The text of the tokenizer.json for the tokenizer in a GGUF file. Throws Error where it has none too.
std::string convert_gguf_tokenizer(const std::filesystem::path& file);

}  // namespace mformer
