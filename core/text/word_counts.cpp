#include "core/text/word_counts.h"

#include <algorithm>
#include <unordered_map>

#include "core/text/added_tokens.h"
#include "core/text/bpe_model.h"
#include "core/text/pre_tokenizer.h"
#include "core/text/utf8.h"

namespace mformer {
namespace {

constexpr size_t kLongestWord = 1024;

std::vector<AddedToken> as_added(const std::vector<std::string>& special_tokens) {
  std::vector<AddedToken> added;
  added.reserve(special_tokens.size());
  for (const std::string& token : special_tokens) {
    added.push_back({.id = static_cast<int32_t>(added.size()), .content = token, .special = true, .normalized = false});
  }
  return added;
}

}  // namespace

std::vector<WordCount> count_words(const TextSource& texts, const std::vector<std::string>& special_tokens) {
  const AddedTokens specials(as_added(special_tokens));
  PreTokenizer words;
  words.add_split(Regex(kGpt2Pattern), PreTokenizer::Behavior::isolated);
  Regex::Scratch scratch;
  std::unordered_map<std::string, int64_t, StringHash, std::equal_to<>> counts;
  const auto count = [&](std::string_view word) {
    if (word.size() > kLongestWord) return;
    auto found = counts.find(word);
    if (found == counts.end()) found = counts.emplace(word, 0).first;
    ++found->second;
  };
  texts([&](std::string_view text) {
    specials.split(AddedTokens::Pass::as_written, text, false, [&](std::string_view part, int32_t id) {
      while (id < 0 && !part.empty()) {
        const size_t valid = utf8_valid_prefix(part);
        words.for_each_word(part.substr(0, valid), TextPlace::after_other, scratch, count);
        part.remove_prefix(std::min(part.size(), valid + 1));
      }
    });
  });
  std::vector<WordCount> sorted;
  sorted.reserve(counts.size());
  for (const auto& [word, times] : counts) sorted.push_back({word, times});
  std::ranges::sort(sorted, {}, &WordCount::word);
  return sorted;
}

}  // namespace mformer
