#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/text/added_tokens.h"
#include "core/text/sentencepiece_model.h"

namespace mformer {

/// What the files beside a `tokenizer.model` say about it: tokenizer_config.json, special_tokens_map.json and
/// added_tokens.json. The defaults are those of LlamaTokenizer of the Python package `transformers`.
struct SentencePieceSettings {
  bool add_bos = true;
  bool add_eos = false;
  std::optional<std::string> bos{}, eos{};  ///< names of these tokens, "" = none; else those of the model's ids
  std::optional<bool> add_prefix_space{};   ///< else as the model says
  /// Each stretch between added tokens gets a space before it; else only a text's start.
  bool legacy = true;
  std::map<int32_t, AddedToken> added{};  ///< by id
};

/// Reads those of the three files that are in `folder`. Throws Error where one can't be read or contradicts itself.
SentencePieceSettings read_sentencepiece_settings(const std::filesystem::path& folder);

/// A tokenizer.json that encodes like the model: its pieces and settings, control pieces as special tokens, and as
/// merges all pairs of pieces that make a third, the best score first. Throws Error, which names `name`, for what can't
/// be said so: models other than BPE, tables of normalisation, unused pieces, spaces behind words.
std::string sentencepiece_to_tokenizer_json(const SentencePieceModel& model, const SentencePieceSettings& settings,
                                            const std::string& name);

/// Both for a file: the text of its tokenizer.json.
std::string convert_sentencepiece_file(const std::filesystem::path& file);

}  // namespace mformer
