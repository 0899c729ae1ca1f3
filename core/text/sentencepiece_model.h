#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace mformer {

/// What a `tokenizer.model` of sentencepiece says: https://github.com/google/sentencepiece,
/// src/sentencepiece_model.proto, as far as it decides about ids.
struct SentencePieceModel {
  enum class PieceType { normal = 1, unknown = 2, control = 3, user_defined = 4, unused = 5, byte = 6 };
  struct Piece {
    std::string text;
    float score = 0;
    PieceType type = PieceType::normal;
  };

  std::vector<Piece> pieces;  ///< by id
  int64_t model_type = 1;     ///< 1 Unigram, 2 BPE, 3 words, 4 characters
  bool byte_fallback = false;
  bool whitespace_as_suffix = false;
  int64_t bos_id = 1;
  int64_t eos_id = 2;
  std::string unknown_piece = "<unk>";

  std::string normalization;     ///< the table by which characters are replaced; empty = none
  bool add_dummy_prefix = true;  ///< a space before each text
  bool remove_extra_whitespaces = true;
  bool escape_whitespaces = true;  ///< a space is "▁"
};

/// Reads the bytes of such a file; `name` stands for it in errors. Throws Error where it is none, is cut, has pieces
/// that are no text or come twice.
SentencePieceModel parse_sentencepiece_model(std::string_view bytes, const std::string& name);

}  // namespace mformer
