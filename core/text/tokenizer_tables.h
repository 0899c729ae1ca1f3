#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/text/bpe_model.h"

namespace mformer {

/// A tokenizer.json whose two long tables were read on the way.
struct TokenizerTables {
  nlohmann::json rest;  ///< The document, with `model` lacking `vocab` and `merges`.
  TokenIds vocabulary;
  std::vector<std::pair<std::string, std::string>> merges;
};

/// Reads a tokenizer.json whose tables are as they should be: unsigned ids below `most_ids`, no token and no id twice,
/// and merges of two parts. Nothing where they are not, or where the text is no JSON: whoever reads the document by
/// itself can say what is wrong. As a document the tables alone take most of the time in which a model is opened.
std::optional<TokenizerTables> read_tokenizer_tables(const std::string& text, std::int64_t most_ids);

}  // namespace mformer
