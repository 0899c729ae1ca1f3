#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <string_view>

namespace mformer {

/// How texts are cut into words by one of the names that GGUF files have for it (tokenizer.ggml.pre); the rules are
/// those of the tokenizer.json files of the models that a name is for.
struct GgufPre {
  const char* name;
  const char* pattern;  ///< Of words; null = GPT-2's, which ByteLevel has built in.
  bool single_digits;   ///< Each digit is a word, before that.
  bool composed;        ///< Text is brought to NFC first.
  bool ignore_merges;   ///< Words that are tokens as a whole are taken as such.
  bool begins;          ///< A begin token stands before each text where the file does not say.

  nlohmann::ordered_json normalizer() const;
  nlohmann::ordered_json pre_tokenizer() const;
};

/// Null for a name that is not known.
const GgufPre* gguf_pre(std::string_view name);

/// The first, of names that mean the same the usual one, that fits; null if none does.
const GgufPre* find_gguf_pre(const std::function<bool(const GgufPre&)>& fits);

}  // namespace mformer
