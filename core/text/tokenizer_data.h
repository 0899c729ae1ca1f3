#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/text/tokenizer.h"
#include "core/text/tokenizer_json.h"

namespace mformer {

/// What all copies of a Tokenizer share; a part of tokenizer.cpp.
struct Tokenizer::Data {
  /// What one thread needs while it encodes or decodes.
  struct Workspace {
    Regex::Scratch scratch;
    std::unordered_map<std::string, std::vector<int32_t>, StringHash, std::equal_to<>> words;
  };

  struct TokenText {
    std::string text;  // as Decoder::prepare() gives it
    bool exists = false;
    bool special = false;
  };

  Data(std::string file_text, const std::string& name);
  explicit Data(TokenizerParts parts);

  std::unique_ptr<Workspace> borrow() const;
  void give_back(std::unique_ptr<Workspace> workspace) const;

  std::vector<int32_t> encode(std::string_view text, EncodeOptions options, Workspace& workspace) const;
  std::string decode(std::span<const int32_t> ids, DecodeOptions options) const;

  std::string json, hash;
  BpeModel model;
  Normalizer normalizer;
  PreTokenizer pre_tokenizer;
  AddedTokens added;
  TokenFrame frame;
  Decoder decoder;
  std::vector<TokenText> tokens;
  mutable std::mutex mutex;
  mutable std::vector<std::unique_ptr<Workspace>> idle;

 private:
  void set_token(int32_t id, const std::string& token, bool special, Regex::Scratch& scratch);
  void encode_plain(std::string_view text, TextPlace place, EncodeOptions options, Workspace& workspace,
                    std::vector<int32_t>& ids) const;
  void encode_valid(std::string_view text, TextPlace place, EncodeOptions options, Workspace& workspace,
                    std::vector<int32_t>& ids) const;
  void encode_word(std::string_view word, Workspace& workspace, std::vector<int32_t>& ids) const;
  void encode_part(std::string_view part, Workspace& workspace, std::vector<int32_t>& ids) const;
};

}  // namespace mformer
