#include "core/text/bpe_model.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <tuple>

#include "core/text/byte_level.h"
#include "core/text/json_fields.h"
#include "modules_registry/error.h"

namespace mformer {
namespace {

// Below this many bytes a scan over all pairs for each merge is faster than a heap.
constexpr size_t kLongWord = 48;

int32_t id_in(const TokenIds& vocabulary, const std::string& token, size_t merge) {
  const auto found = vocabulary.find(token);
  if (found != vocabulary.end()) return found->second;
  throw Error("merge " + std::to_string(merge) + " (model.merges) needs the token '" + cut(token, 60) +
              "', which is not in model.vocab");
}

}  // namespace

BpeModel::BpeModel(TokenIds vocabulary, const std::vector<std::pair<std::string, std::string>>& merges,
                   bool ignore_merges)
    : vocabulary_(std::move(vocabulary)) {
  for (size_t byte = 0; byte < byte_ids_.size(); ++byte) {
    const auto found = vocabulary_.find(byte_letters().at(byte));
    byte_ids_.at(byte) = found == vocabulary_.end() ? -1 : found->second;
  }
  merges_.reserve(merges.size());
  for (size_t rank = 0; rank < merges.size(); ++rank) {
    const auto& [left, right] = merges[rank];
    const auto key = pair_key(id_in(vocabulary_, left, rank), id_in(vocabulary_, right, rank));
    merges_[key] = {static_cast<uint32_t>(rank), id_in(vocabulary_, left + right, rank)};
  }
  if (!ignore_merges) return;
  for (const auto& [token, id] : vocabulary_) {
    if (auto bytes = from_byte_letters(token)) words_.emplace(std::move(*bytes), id);
  }
}

const BpeModel::Merge* BpeModel::merge_of(int32_t left, int32_t right) const {
  const auto found = merges_.find(pair_key(left, right));
  return found == merges_.end() ? nullptr : &found->second;
}

void BpeModel::encode_word(std::string_view word, std::vector<int32_t>& ids) const {
  if (const auto whole = words_.find(word); whole != words_.end()) {
    ids.push_back(whole->second);
    return;
  }
  const size_t first = ids.size();
  for (const char byte : word) {
    const int32_t id = byte_ids_.at(static_cast<uint8_t>(byte));
    if (id >= 0) ids.push_back(id);
  }
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
