#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/text/documents.h"
#include "core/text/tokenizer.h"

namespace mformer {

/// The tokens of one split of a corpus, read from their file when they are asked for: in memory is where each document
/// begins. A cheap handle to immutable data; safe in many threads.
class TokenData {
 public:
  /// The tokens themselves, of a TokenData that must outlive this.
  class Tokens {
   public:
    uint64_t size() const { return size_; }
    /// `count` of them from number `first` on, which must be there. Throws Error when the file can't be read any more.
    std::vector<uint32_t> read(uint64_t first, uint64_t count) const;
    std::vector<uint32_t> all() const { return read(0, size_); }

   private:
    friend class TokenData;
    Tokens(const TokenData& data, uint64_t size) : data_(data), size_(size) {}
    const TokenData& data_;
    uint64_t size_;
  };

  /// The bit of a token that says: no loss where this token is the target. The other bits are the id.
  static constexpr uint32_t kNoLoss = 0x80000000U;
  static constexpr uint32_t kIdMask = 0x7FFFFFFFU;

  /// Opens a file written by build_token_cache after checking all of it. Throws Error if it is not whole.
  static TokenData open(const std::filesystem::path& file);

  /// A data set held in memory, for tests and for texts that never were files. `document_starts` has the index of the
  /// first token of each document and, last, the number of tokens.
  static TokenData in_memory(std::vector<uint32_t> tokens, std::vector<uint64_t> document_starts);

  /// All tokens, documents in corpus order, each ended by the end-of-text id; ids with the kNoLoss bit.
  Tokens tokens() const;
  int64_t documents() const;
  /// The tokens of document `index`, end-of-text included. Throws Error when out of range.
  std::vector<uint32_t> document(int64_t index) const;
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
  /// Conversations that the tokenizer's chat template refuses: they are documents of the corpus, and have no tokens.
  int64_t refused_chats = 0;
  std::string refusal;  ///< Why the first of them is refused; empty where the tokens were reused.

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
/// `progress` gets bytes read so far and in all (the corpus is read twice when it is new: total counts both);
/// nothing where nothing is read, as all is known.
/// `fields` names the fields of records. Conversations are written by the tokenizer's chat template where it has one
/// (Tokenizer::chatting_by); one that the template refuses harms itself alone. Throws Error as for_each_document does,
/// when the tokenizer has no end-of-text token, and when the cache can't be written.
TokenCache build_token_cache(const std::filesystem::path& data, const Tokenizer& tokenizer,
                             const std::filesystem::path& cache_dir, const ByteProgress& progress = {}, int threads = 0,
                             const RecordFields& fields = {});

/// Whether build_token_cache() would read nothing of the corpus, as its tokens are in the cache; no where it can't be
/// listed.
bool is_in_token_cache(const std::filesystem::path& data, const Tokenizer& tokenizer,
                       const std::filesystem::path& cache_dir, const RecordFields& fields = {});

/// What a corpus holds, with the content hash that build_token_cache gives it. Nothing is tokenised; `cache_dir` keeps
/// the CorpusMemo. Throws Error as for_each_document does.
CorpusSummary summarize_corpus(const std::filesystem::path& data, const std::filesystem::path& cache_dir,
                               const ByteProgress& progress = {}, const RecordFields& fields = {});

/// The tokens of a corpus that build_token_cache turned into tokens before, wherever its text is now; nothing if they
/// are not in the cache, or not whole. Of the summary only documents, text bytes and content hash are known.
std::optional<TokenCache> cached_tokens(const std::string& content_hash, const Tokenizer& tokenizer,
                                        const std::filesystem::path& cache_dir);

}  // namespace mformer
