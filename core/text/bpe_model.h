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

/// The merges of a byte-level BPE vocabulary. Immutable; any number of threads.
class BpeModel {
 public:
  /// `vocabulary` maps tokens in byte letters to ids; `merges` come in order of rank, a repeated one counts last. With
  /// `ignore_merges` a word that is a token is that token, whatever the merges make of it.
  /// Throws Error naming a merge whose parts or result are no tokens.
  BpeModel(TokenIds vocabulary, const std::vector<std::pair<std::string, std::string>>& merges, bool ignore_merges);

  /// Appends the ids of one word, given as raw bytes: starting from single bytes, the pair of lowest rank is merged
  /// (of equal ones the leftmost) until none is left. Bytes without a token are left out.
  /// Linear for short words, n log n for long ones.
  void encode_word(std::string_view word, std::vector<int32_t>& ids) const;

  /// The id of a byte's token, or -1.
  int32_t byte_id(uint8_t byte) const { return byte_ids_.at(byte); }
  const TokenIds& vocabulary() const { return vocabulary_; }

 private:
  struct Merge {
    uint32_t rank;
    int32_t id;
  };
  const Merge* merge_of(int32_t left, int32_t right) const;
  void merge_short(std::vector<int32_t>& ids, size_t first) const;
  void merge_long(std::vector<int32_t>& ids, size_t first) const;

  TokenIds vocabulary_;
  TokenIds words_;  // tokens by raw bytes; only with ignore_merges
  std::array<int32_t, 256> byte_ids_{};
  std::unordered_map<uint64_t, Merge> merges_;
};

}  // namespace mformer
