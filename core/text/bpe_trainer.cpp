#include "core/text/bpe_trainer.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <queue>
#include <set>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "core/text/bpe_model.h"
#include "core/text/byte_level.h"
#include "core/text/documents.h"
#include "core/text/text_pieces.h"
#include "core/text/tokenizer_json.h"
#include "core/text/word_counts.h"
#include "modules_registry/error.h"

namespace mformer {
namespace {

constexpr int32_t kMostTokens = 1'000'000;

/// The vocabulary so far: special tokens, bytes (in the order of their letters), merges.
struct Vocabulary {
  std::vector<std::string> tokens;
  std::array<int32_t, 256> byte_ids{};
  std::vector<std::pair<std::string, std::string>> merges;

  explicit Vocabulary(const std::vector<std::string>& special_tokens) : tokens(special_tokens) {
    std::array<uint8_t, 256> bytes{};
    std::iota(bytes.begin(), bytes.end(), uint8_t{0});
    // UTF-8 sorts like code points.
    std::ranges::sort(bytes, {}, [](uint8_t byte) -> const std::string& { return byte_letters().at(byte); });
    for (const uint8_t byte : bytes) {
      byte_ids.at(byte) = static_cast<int32_t>(tokens.size());
      tokens.push_back(byte_letters().at(byte));
    }
  }
};

/// Merges the most frequent pair again and again. Counts of pairs are kept up to date word by word, so a merge costs as
/// much as the words that hold its pair.
class PairMerger {
 public:
  PairMerger(const std::vector<WordCount>& counts, const Vocabulary& vocabulary) {
    words_.reserve(counts.size());
    for (const WordCount& entry : counts) {
      Word word{{}, entry.count};
      word.ids.reserve(entry.word.size());
      for (const char byte : entry.word) word.ids.push_back(vocabulary.byte_ids.at(static_cast<uint8_t>(byte)));
      words_.push_back(std::move(word));
      const auto index = static_cast<uint32_t>(words_.size() - 1);
      for_each_pair(words_.back(), [&](uint64_t pair) { add(pair, entry.count, index); });
    }
    for (const auto& [pair, state] : pairs_) queue_.push({state.count, pair});
  }

  /// The most frequent pair, of equal ones that with the smaller ids; 0 occurrences when none is left.
  std::pair<int64_t, uint64_t> best() {
    while (!queue_.empty()) {
      const auto [count, pair] = queue_.top();
      const auto found = pairs_.find(pair);
      const int64_t now = found == pairs_.end() ? 0 : found->second.count;
      if (now > 0 && count == now) return {now, pair};
      // Counts fall without notice, and a pair whose count grows is queued anew.
      queue_.pop();
      if (now > 0 && now < count) queue_.push({now, pair});
    }
    return {0, 0};
  }

  /// Replaces the pair by `id` everywhere.
  void merge(uint64_t pair, int32_t id) {
    std::vector<uint32_t> where = std::move(pairs_.at(pair).words);
    pairs_.erase(pair);
    std::unordered_set<uint64_t> grown;
    for (const uint32_t index : where) merge_word(index, pair, id, grown);
    for (const uint64_t one : grown) queue_.push({pairs_.at(one).count, one});
  }

 private:
  struct Word {
    std::vector<int32_t> ids;
    int64_t count;
  };
  struct PairState {
    int64_t count = 0;
    std::vector<uint32_t> words;  // may hold a word twice, or one that has lost the pair
  };
  struct Candidate {
    int64_t count;
    uint64_t pair;
    bool operator<(const Candidate& other) const {
      return count != other.count ? count < other.count : pair > other.pair;
    }
  };

  template <class Visit>
  static void for_each_pair(const Word& word, const Visit& visit) {
    for (size_t at = 0; at + 1 < word.ids.size(); ++at) visit(pair_key(word.ids[at], word.ids[at + 1]));
  }

  void add(uint64_t pair, int64_t count, uint32_t word) {
    PairState& state = pairs_[pair];
    state.count += count;
    if (state.words.empty() || state.words.back() != word) state.words.push_back(word);
  }

  void merge_word(uint32_t index, uint64_t pair, int32_t id, std::unordered_set<uint64_t>& grown) {
    Word& word = words_[index];
    const auto lose = [&](int32_t left, int32_t right) {
      const auto found = pairs_.find(pair_key(left, right));
      if (found != pairs_.end()) found->second.count -= word.count;
    };
    const auto gain = [&](int32_t left, int32_t right) {
      add(pair_key(left, right), word.count, index);
      grown.insert(pair_key(left, right));
    };
    for (size_t at = 0; at + 1 < word.ids.size(); ++at) {
      if (pair_key(word.ids[at], word.ids[at + 1]) != pair) continue;
      const int32_t left = word.ids[at];
      const int32_t right = word.ids[at + 1];
      word.ids[at] = id;
      word.ids.erase(word.ids.begin() + static_cast<std::ptrdiff_t>(at) + 1);
      if (at > 0) {
        lose(word.ids[at - 1], left);
        gain(word.ids[at - 1], id);
      }
      if (at + 1 < word.ids.size()) {
        lose(right, word.ids[at + 1]);
        gain(id, word.ids[at + 1]);
      }
    }
  }

  std::vector<Word> words_;
  std::unordered_map<uint64_t, PairState> pairs_;
  std::priority_queue<Candidate> queue_;
};

void check(const BpeTrainOptions& options) {
  const auto least = static_cast<int64_t>(256 + options.special_tokens.size());
  if (options.vocab_size < least || options.vocab_size > kMostTokens) {
    throw UsageError("a vocabulary of " + std::to_string(options.vocab_size) + " tokens can't be made",
                     "choose from " + std::to_string(least) + " (256 bytes and the special tokens) to " +
                         std::to_string(kMostTokens));
  }
  if (options.min_frequency < 1) throw UsageError("the least frequency of a pair must be at least 1");
  if (options.max_bytes < 0) throw UsageError("the number of bytes to learn from must not be negative");
  const std::set<std::string> names(options.special_tokens.begin(), options.special_tokens.end());
  if (names.size() != options.special_tokens.size() || names.contains("")) {
    throw UsageError("special tokens must differ and must not be empty");
  }
  for (const std::string& letter : byte_letters()) {
    if (names.contains(letter)) throw UsageError("the special token '" + letter + "' is the name of a byte");
  }
}

}  // namespace

Tokenizer train_bpe(const TextSource& texts, const BpeTrainOptions& options) {
  check(options);
  const auto counts = count_words(texts, options.special_tokens);
  if (counts.empty()) throw Error("there is no text to learn a vocabulary from", "give a folder with text files");
  Vocabulary vocabulary(options.special_tokens);
  TokenIds known;
  for (const std::string& token : vocabulary.tokens) known.emplace(token, static_cast<int32_t>(known.size()));
  PairMerger merger(counts, vocabulary);
  std::unordered_set<uint64_t> merged;
  while (static_cast<int32_t>(vocabulary.tokens.size()) < options.vocab_size) {
    const auto [count, pair] = merger.best();
    if (count < options.min_frequency) break;
    const auto& left = vocabulary.tokens[pair >> 32U];
    const auto& right = vocabulary.tokens[pair & 0xFFFFFFFFU];
    // A pair can come up again when another merge spells one of its halves.
    if (merged.insert(pair).second) vocabulary.merges.emplace_back(left, right);
    // Two pairs may spell the same token: "a" + "bc" and "ab" + "c".
    const auto [entry, is_new] = known.emplace(left + right, static_cast<int32_t>(vocabulary.tokens.size()));
    if (is_new) vocabulary.tokens.push_back(entry->first);
    merger.merge(pair, entry->second);
  }
  auto json = write_tokenizer_json(vocabulary.tokens, vocabulary.merges, options.special_tokens.size());
  return Tokenizer::from_json(std::move(json), "trained tokenizer");
}

Tokenizer train_bpe(const std::filesystem::path& data, const BpeTrainOptions& options, const RecordFields& fields,
                    CorpusSummary* read) {
  check(options);
  const int64_t total = list_corpus(data).total_bytes;
  const double share =
      options.max_bytes == 0 || total == 0 ? 1.0 : static_cast<double>(options.max_bytes) / static_cast<double>(total);
  return train_bpe(
      [&](const std::function<void(std::string_view)>& learn) {
        int64_t seen = 0;
        int64_t taken = 0;
        const auto take = [&](const Document& document) {
          const auto size = static_cast<int64_t>(document.text.size());
          // Of packed files more comes than their size promises.
          const bool enough = options.max_bytes > 0 && taken >= options.max_bytes + static_cast<int64_t>(kPieceBytes);
          const bool ahead = enough || static_cast<double>(taken) > share * static_cast<double>(seen);
          seen += size;
          if (ahead) return;
          taken += size;
          learn(document.text);
        };
        const CorpusSummary summary = for_each_document(data, take, {}, fields);
        if (read != nullptr) *read = summary;
      },
      options);
}

}  // namespace mformer
