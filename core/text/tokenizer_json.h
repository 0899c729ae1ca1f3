#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/text/added_tokens.h"
#include "core/text/bpe_model.h"
#include "core/text/decoder.h"
#include "core/text/normalizer.h"
#include "core/text/pre_tokenizer.h"
#include "core/text/tokenizer.h"

namespace mformer {

/// The parts of a tokenizer.json that decide about ids and about the text that they stand for.
struct TokenizerParts {
  BpeModel model;
  Normalizer normalizer;
  PreTokenizer pre_tokenizer;
  std::vector<AddedToken> added;
  TokenFrame frame;
  Decoder decoder;
};

/// Reads a tokenizer.json of the BPE kind. Whatever the file asks for is either done or refused: throws
/// Error naming `name`, the field and what was expected.
TokenizerParts parse_tokenizer_json(const std::string& json, const std::string& name);

/// The "model" of a tokenizer.json of the BPE kind over byte letters: `vocab` and `merges` as the file has them.
nlohmann::ordered_json byte_bpe_json(nlohmann::ordered_json vocab, nlohmann::ordered_json merges, bool ignore_merges);

/// A tokenizer.json with these tokens (byte letters, by id) and merges, GPT-2's words and no prefix space. The first
/// `special_tokens` ids are special tokens.
std::string write_tokenizer_json(const std::vector<std::string>& tokens,
                                 const std::vector<std::pair<std::string, std::string>>& merges, size_t special_tokens);

}  // namespace mformer
