#pragma once

#include <cstdint>
#include <vector>

#include "core/formats/gguf_header.h"
#include "core/text/tokenizer.h"

namespace mformer {

/// What a model's config says about tokens.
struct GgufTokenIds {
  std::int64_t rows = 0;  ///< Of the embedding: ids without a token are filled up with unused ones.
  std::int64_t begin = -1;
  std::vector<std::int64_t> ends;  ///< Those that end a text; GGUF has keys for three.
};

/// Writes the tokenizer into the metadata of a GGUF file, so that gguf_tokenizer_json() of them encodes alike and so
/// does llama.cpp: its cutting rules must be among those that GGUF has a name for (gguf_pre.h), or it is one of
/// sentencepiece, whose merges are an order of pieces. Throws Error, naming what GGUF can't say, for others.
void put_gguf_tokenizer(const Tokenizer& tokenizer, const GgufTokenIds& ids, GgufMetadata& metadata);

}  // namespace mformer
