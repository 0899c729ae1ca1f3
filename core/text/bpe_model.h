#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace mformer {

/// Lets maps with std::string keys be searched by std::string_view.
struct StringHash {
  using is_transparent = void;
  size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
};
using TokenIds = std::unordered_map<std::string, int32_t, StringHash, std::equal_to<>>;

/// Two neighbouring tokens as one key.
inline uint64_t pair_key(int32_t left, int32_t right) {
  return (static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32U) | static_cast<uint32_t>(right);
}

/// How a word becomes the tokens that merging starts from.
struct BpeRules {
  bool byte_level = false;     ///< words are any bytes, and tokens are written in byte letters; else both are UTF-8
  bool ignore_merges = false;  ///< a word that is a token is that token, whatever the merges make of it
  bool byte_fallback = false;  ///< a character without a token becomes those of its bytes ("<0xE2>"), if all have one
  std::string unknown{};       ///< the token of any other character without one; empty = it is left out
  bool fuse_unknown = false;   ///< neighbouring characters of that kind are one such token together
};

/// A vocabulary and its merges. Immutable; any number of threads.
class BpeModel {
 public:
  /// `vocabulary` maps tokens to ids; `merges` come in order of rank, a repeated one counts last.
  /// Throws Error naming a merge whose parts or result are no tokens.
  BpeModel(TokenIds vocabulary, const std::vector<std::pair<std::string, std::string>>& merges, BpeRules rules);

  /// The id of a word that is a token by itself, or -1; only where merges are ignored.
  int32_t whole_word(std::string_view word) const;

  /// Bytes of the first part of a word: no merge reaches from one part into the next, so that parts may be encoded one
  /// by one. In a text without words they are what begins with "▁", where the merges allow it; else the whole word.
  size_t first_part(std::string_view word) const;

  /// Appends the ids of one part: from single characters on, the pair of lowest rank is merged (of equal ones the
  /// leftmost) until none is left. Linear for short parts, n log n for long ones.
  void encode_part(std::string_view part, std::vector<int32_t>& ids) const;

  /// The id for a byte that is no text: its own token, or else the unknown one; -1 if there is neither.
  int32_t byte_id(uint8_t byte) const;

  /// Every text has tokens other than the unknown one.
  bool covers_all_text() const;
  const TokenIds& vocabulary() const { return vocabulary_; }

 private:
  struct Merge {
    uint32_t rank;
    int32_t id;
  };
  const Merge* merge_of(int32_t left, int32_t right) const;
  void append_letters(std::string_view part, std::vector<int32_t>& ids) const;
  bool append_bytes(std::string_view letter, std::vector<int32_t>& ids) const;
  void merge_short(std::vector<int32_t>& ids, size_t first) const;
  void merge_long(std::vector<int32_t>& ids, size_t first) const;

  TokenIds vocabulary_;
  BpeRules rules_;
  TokenIds words_;                           // tokens by raw bytes; only of byte letters, with ignore_merges
  std::array<int32_t, 256> byte_letters_{};  // ids of byte letters, or -1
  std::array<int32_t, 256> byte_tokens_{};   // ids of "<0x00>" …, or -1; only with byte_fallback
  std::vector<int32_t> letters_;             // ids of single characters by code point, or -1; not of byte letters
  int32_t unknown_ = -1;
  bool cuts_ = false;  // before each "▁" that stands after another character
  std::unordered_map<uint64_t, Merge> merges_;
};

}  // namespace mformer
