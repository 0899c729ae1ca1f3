#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "core/text/documents.h"
#include "core/text/tokenizer.h"

namespace mformer {

/// How a vocabulary is learned.
struct BpeTrainOptions {
  /// Tokens in all: the special ones, the 256 bytes, and the learned merges. The result has fewer when the text runs
  /// out of pairs. At least 256 + the special tokens, at most 1,000,000.
  int32_t vocab_size = 8192;
  /// Get the first ids and are found in text as they stand.
  std::vector<std::string> special_tokens = {"<|endoftext|>"};
  /// Pairs that occur less often than this are not merged. At least 1.
  int64_t min_frequency = 2;
  /// About how many bytes to learn from: whole documents, taken evenly over the corpus; 0 = all. With a path only.
  int64_t max_bytes = 0;
};

/// Hands every text of a corpus to the function it is given, one after the other; the view need not outlive the call.
using TextSource = std::function<void(const std::function<void(std::string_view)>&)>;

/// Learns a byte-level BPE vocabulary with GPT-2's splitting of text into words. The same texts give the same file:
/// the most frequent pair is merged first, and of equal ones that with the smaller ids. Memory grows with the number
/// of distinct words. Words of more than 1 KiB are not learned from.
/// Throws UsageError for options out of range, Error when the source has no text, and whatever the source throws.
Tokenizer train_bpe(const TextSource& texts, const BpeTrainOptions& options = {});

/// The same from a data folder or file (see documents.h), of which about options.max_bytes are learned from. What it
/// held goes to `read` where that is given.
Tokenizer train_bpe(const std::filesystem::path& data, const BpeTrainOptions& options = {},
                    const RecordFields& fields = {}, CorpusSummary* read = nullptr);

}  // namespace mformer
