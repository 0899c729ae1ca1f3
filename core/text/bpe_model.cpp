#include "core/text/bpe_model.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <tuple>
#include <utility>

#include "core/text/byte_level.h"
#include "core/text/json_fields.h"
#include "core/text/utf8.h"
#include "modules_registry/error.h"
#include "modules_registry/printable.h"

namespace mformer {
namespace {

// Below this many bytes a scan over all pairs for each merge is faster than a heap.
constexpr size_t kLongWord = 48;
// What stands for a space in vocabularies without byte letters (U+2581).
constexpr std::string_view kSpaceMark = "\xE2\x96\x81";

int32_t find_id(const TokenIds& vocabulary, std::string_view token) {
  const auto found = vocabulary.find(token);
  return found == vocabulary.end() ? -1 : found->second;
}

int32_t id_in(const TokenIds& vocabulary, const std::string& token, size_t merge) {
  const int32_t id = find_id(vocabulary, token);
  if (id >= 0) return id;
  throw Error("merge " + std::to_string(merge) + " (model.merges) needs the token '" + printable(cut(token, 60)) +
              "', which is not in model.vocab");
}

std::string name_of_byte(unsigned byte) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  return std::string("<0x") + kDigits[byte / 16] + kDigits[byte % 16] + ">";
}

std::vector<int32_t> single_characters(const TokenIds& vocabulary) {
  std::vector<int32_t> ids;
  for (const auto& [token, id] : vocabulary) {
    if (token.empty() || utf8_length(token) != token.size()) continue;
    const size_t index = utf8_decode(token);
    if (index >= ids.size()) ids.resize(index + 1, -1);
    ids[index] = id;
  }
  return ids;
}

/// Whether a merge joins "▁" to another character before it.
bool joins_words(const std::pair<std::string, std::string>& merge) {
  return merge.second.starts_with(kSpaceMark) && !merge.first.ends_with(kSpaceMark);
}

}  // namespace

BpeModel::BpeModel(TokenIds vocabulary, const std::vector<std::pair<std::string, std::string>>& merges, BpeRules rules)
    : vocabulary_(std::move(vocabulary)), rules_(std::move(rules)), unknown_(find_id(vocabulary_, rules_.unknown)) {
  for (unsigned byte = 0; byte < 256; ++byte) {
    byte_letters_.at(byte) = rules_.byte_level ? find_id(vocabulary_, byte_letters().at(byte)) : -1;
    byte_tokens_.at(byte) = rules_.byte_fallback ? find_id(vocabulary_, name_of_byte(byte)) : -1;
  }
  if (rules_.unknown.empty()) unknown_ = -1;
  if (!rules_.byte_level) {
    letters_ = single_characters(vocabulary_);
    cuts_ = vocabulary_.contains(kSpaceMark) && std::ranges::none_of(merges, joins_words);
  }
  merges_.reserve(merges.size());
  for (size_t rank = 0; rank < merges.size(); ++rank) {
    const auto& [left, right] = merges[rank];
    const auto key = pair_key(id_in(vocabulary_, left, rank), id_in(vocabulary_, right, rank));
    merges_[key] = {static_cast<uint32_t>(rank), id_in(vocabulary_, left + right, rank)};
  }
  if (!rules_.ignore_merges || !rules_.byte_level) return;
  for (const auto& [token, id] : vocabulary_) {
    if (auto bytes = from_byte_letters(token)) words_.emplace(std::move(*bytes), id);
  }
}

int32_t BpeModel::byte_id(uint8_t byte) const {
  for (const int32_t id : {byte_letters_.at(byte), byte_tokens_.at(byte)}) {
    if (id >= 0) return id;
  }
  return unknown_;
}

bool BpeModel::covers_all_text() const {
  const auto& bytes = rules_.byte_level ? byte_letters_ : byte_tokens_;
  return std::ranges::none_of(bytes, [](int32_t id) { return id < 0; });
}

int32_t BpeModel::whole_word(std::string_view word) const {
  if (!rules_.ignore_merges) return -1;
  return find_id(rules_.byte_level ? words_ : vocabulary_, word);
}

size_t BpeModel::first_part(std::string_view word) const {
  if (!cuts_) return word.size();
  size_t begin = 0;
  while (word.substr(begin).starts_with(kSpaceMark)) begin += kSpaceMark.size();
  return std::min(word.find(kSpaceMark, begin), word.size());
}

bool BpeModel::append_bytes(std::string_view letter, std::vector<int32_t>& ids) const {
  const auto token_of = [this](char byte) { return byte_tokens_.at(static_cast<uint8_t>(byte)); };
  if (std::ranges::any_of(letter, [&](char byte) { return token_of(byte) < 0; })) return false;
  for (const char byte : letter) ids.push_back(token_of(byte));
  return true;
}

void BpeModel::append_letters(std::string_view part, std::vector<int32_t>& ids) const {
  bool unknown = false;  // one whose token is still to be written: the package lets bytes that follow go before it
  while (!part.empty()) {
    const auto byte = static_cast<uint8_t>(part.front());
    const size_t length = rules_.byte_level ? 1 : utf8_length(part);
    const size_t index = rules_.byte_level ? byte : utf8_decode(part);
    const int32_t id = rules_.byte_level ? byte_letters_[byte] : index < letters_.size() ? letters_[index] : -1;
    if (id >= 0) {
      if (std::exchange(unknown, false)) ids.push_back(unknown_);
      ids.push_back(id);
    } else if (!append_bytes(rules_.byte_level ? byte_letters().at(byte) : part.substr(0, length), ids)) {
      if (unknown && !rules_.fuse_unknown) ids.push_back(unknown_);
      unknown = unknown_ >= 0;
    }
    part.remove_prefix(length);
  }
  if (unknown) ids.push_back(unknown_);
}

const BpeModel::Merge* BpeModel::merge_of(int32_t left, int32_t right) const {
  const auto found = merges_.find(pair_key(left, right));
  return found == merges_.end() ? nullptr : &found->second;
}

void BpeModel::encode_part(std::string_view part, std::vector<int32_t>& ids) const {
  const size_t first = ids.size();
  append_letters(part, ids);
  if (ids.size() - first < kLongWord) {
    merge_short(ids, first);
  } else {
    merge_long(ids, first);
  }
}

void BpeModel::merge_short(std::vector<int32_t>& ids, size_t first) const {
  // What merging each token with the one after it would give.
  constexpr Merge kNone{std::numeric_limits<uint32_t>::max(), -1};
  std::array<Merge, kLongWord> with_next{};
  const auto look_up = [&](size_t at) {
    const Merge* merge = at + 1 < ids.size() ? merge_of(ids[at], ids[at + 1]) : nullptr;
    with_next.at(at - first) = merge != nullptr ? *merge : kNone;
  };
  for (size_t at = first; at < ids.size(); ++at) look_up(at);
  while (ids.size() > first) {
    size_t best = first;
    for (size_t at = first; at < ids.size(); ++at) {
      if (with_next.at(at - first).rank < with_next.at(best - first).rank) best = at;
    }
    const Merge merge = with_next.at(best - first);
    if (merge.id < 0) return;
    ids[best] = merge.id;
    ids.erase(ids.begin() + static_cast<std::ptrdiff_t>(best) + 1);
    for (size_t at = best + 1; at < ids.size(); ++at) with_next.at(at - first) = with_next.at(at + 1 - first);
    look_up(best);
    if (best > first) look_up(best - 1);
  }
}

void BpeModel::merge_long(std::vector<int32_t>& ids, size_t first) const {
  constexpr uint32_t kEnd = std::numeric_limits<uint32_t>::max();
  if (ids.size() - first >= kEnd) throw Error("a word of 4 GiB can't be encoded", "split the text into lines");
  // Both are small on purpose: a word may have a hundred million bytes.
  struct Symbol {
    int32_t id;
    uint32_t previous, next;
  };
  struct Candidate {
    uint32_t rank, at;
    int32_t left, right;  // tell whether the pair is still the one that was found
    bool operator>(const Candidate& other) const { return std::tie(rank, at) > std::tie(other.rank, other.at); }
  };
  std::vector<Symbol> symbols;
  symbols.reserve(ids.size() - first);
  for (size_t at = first; at < ids.size(); ++at) {
    const auto own = static_cast<uint32_t>(at - first);
    symbols.push_back({ids[at], own == 0 ? kEnd : own - 1, at + 1 == ids.size() ? kEnd : own + 1});
  }
  std::vector<Candidate> heap;
  const auto find = [&](uint32_t at) {
    if (at == kEnd || symbols[at].next == kEnd) return false;
    const int32_t left = symbols[at].id;
    const int32_t right = symbols[symbols[at].next].id;
    const Merge* merge = merge_of(left, right);
    if (merge != nullptr) heap.push_back({merge->rank, at, left, right});
    return merge != nullptr;
  };
  const auto push = [&](uint32_t at) {
    if (find(at)) std::ranges::push_heap(heap, std::greater<>{});
  };
  for (uint32_t at = 0; at < symbols.size(); ++at) find(at);
  std::ranges::make_heap(heap, std::greater<>{});
  while (!heap.empty()) {
    const Candidate best = heap.front();
    std::ranges::pop_heap(heap, std::greater<>{});
    heap.pop_back();
    Symbol& symbol = symbols[best.at];
    if (symbol.id != best.left || symbol.next == kEnd || symbols[symbol.next].id != best.right) continue;
    Symbol& gone = symbols[symbol.next];
    gone.id = -1;
    symbol = {merge_of(best.left, best.right)->id, symbol.previous, gone.next};
    if (gone.next != kEnd) symbols[gone.next].previous = best.at;
    push(symbol.previous);
    push(best.at);
  }
  ids.resize(first);
  for (uint32_t at = symbols.empty() ? kEnd : 0; at != kEnd; at = symbols[at].next) ids.push_back(symbols[at].id);
}

}  // namespace mformer
