#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>

#include "core/text/documents.h"
#include "core/text/tokenizer.h"

namespace mformer {

/// The tokens of one split of a corpus, read from a mapped file: only what is used is in memory. A cheap handle to
/// immutable data; safe in many threads.
class TokenData {
 public:
  /// The bit of a token that says: no loss where this token is the target. The other bits are the id.
  static constexpr uint32_t kNoLoss = 0x80000000U;
  static constexpr uint32_t kIdMask = 0x7FFFFFFFU;

  /// Maps a file written by build_token_cache after checking all of it. Throws Error if it is not whole.
  static TokenData open(const std::filesystem::path& file);

  /// A data set held in memory, for tests and for texts that never were files. `document_starts` has the index of the
  /// first token of each document and, last, the number of tokens.
  static TokenData in_memory(std::vector<uint32_t> tokens, std::vector<uint64_t> document_starts);

  /// All tokens, documents in corpus order, each ended by the end-of-text id; ids with the kNoLoss bit.
  std::span<const uint32_t> tokens() const;
  int64_t documents() const;
  /// The tokens of document `index`, end-of-text included. Throws Error when out of range.
  std::span<const uint32_t> document(int64_t index) const;
  /// Index of the first token of each document, ascending, and last the number of tokens.
  std::span<const uint64_t> starts() const;

  int64_t text_bytes() const;               ///< bytes of text the tokens stand for
  const std::string& content_hash() const;  ///< of the whole corpus, as CorpusSummary::content_hash
  const std::string& tokenizer_hash() const;

 private:
  struct Data;
  explicit TokenData(std::shared_ptr<const Data> data);
  std::shared_ptr<const Data> data_;
};

/// A corpus as tokens.
struct TokenCache {
  TokenData train, validation, held_out;
  CorpusSummary summary;
  bool reused = false;  ///< nothing had to be tokenised

  const TokenData& split(Split which) const;
  /// The same, but throws Error (with a hint) when the split has no document.
  const TokenData& require(Split which) const;
  std::string data_path;  ///< as given, for messages
};

/// Turns the corpus at `data` into one token file per split below `cache_dir` (made when missing), or reuses the files
/// that are there: they are named by the content of the corpus and of the tokenizer, so a changed corpus gets new ones.
/// `threads` threads encode (0 = as many as the machine has); the files are the same for any number. In memory are the
/// documents being encoded: 2 MiB a thread and one more document. The whole files are checked, and made anew when
/// damaged. A folder that CorpusMemo knows is not read again.
/// `progress` gets bytes read so far and in all (the corpus is read twice when it is new: total counts both).
/// Throws Error as for_each_document does, when the tokenizer has no end-of-text token, and when the cache can't be
/// written.
TokenCache build_token_cache(const std::filesystem::path& data, const Tokenizer& tokenizer,
                             const std::filesystem::path& cache_dir, const ByteProgress& progress = {},
                             int threads = 0);

}  // namespace mformer
