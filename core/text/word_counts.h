#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/text/bpe_trainer.h"

namespace mformer {

/// How often a word occurs.
struct WordCount {
  std::string word;
  int64_t count = 0;
};

/// The words (raw bytes) of all texts by GPT-2's pattern, in bytewise order; special tokens and words of more than
/// 1 KiB are left out, and ill-formed bytes separate words.
std::vector<WordCount> count_words(const TextSource& texts, const std::vector<std::string>& special_tokens);

}  // namespace mformer
