#include "core/text/token_cache.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "core/text/chat_template.h"
#include "core/text/corpus_memo.h"
#include "core/text/token_file.h"
#include "modules_registry/error.h"
#include "modules_registry/file_lock.h"
#include "modules_registry/files.h"

namespace mformer {
namespace {

namespace fs = std::filesystem;

constexpr std::array kSplits = {Split::train, Split::validation, Split::held_out};
constexpr size_t kKeyLength = 32;
// Of one thread's share of a batch: some tens of milliseconds of work, far more than it costs to start a thread.
constexpr size_t kShareBytes = 2UL << 20U;
constexpr size_t kShareDocuments = 2048;

using Paths = std::array<fs::path, kSplits.size()>;

Paths cache_files(const fs::path& folder, const std::string& content_hash, const std::string& tokenizer) {
  const auto identity = content_hash + '\n' + tokenizer + '\n' + std::to_string(kTokenFileVersion) + '\n' +
                        std::to_string(kTokenizerRules) + '\n' + std::string(kSplitRule);
  const auto key = sha256_hex(identity).substr(0, kKeyLength);
  Paths paths;
  for (const Split split : kSplits) {
    paths.at(static_cast<size_t>(split)) = folder / (key + "-" + std::string(split_name(split)) + ".tokens");
  }
  return paths;
}

std::optional<TokenCache> open_whole(const Paths& files) {
  for (const fs::path& file : files) {
    if (!fs::exists(file)) return std::nullopt;
  }
  try {
    return TokenCache{
        TokenData::open(files[0]), TokenData::open(files[1]), TokenData::open(files[2]), {}, true, 0, {}, {}};
  } catch (const Error&) {
    return std::nullopt;  // damaged: made anew
  }
}

/// Collects documents, encodes them side by side, and appends them to the files of their splits in order.
class Encoder {
 public:
  Encoder(const Tokenizer& tokenizer, const Paths& files, int threads)
      : tokenizer_(tokenizer), end_(static_cast<uint32_t>(tokenizer.end_of_text())), threads_(threads) {
    for (size_t at = 0; at < files.size(); ++at) writers_.at(at) = std::make_unique<TokenFileWriter>(files.at(at));
  }

  ~Encoder() {
    if (tokenizer_.chat() != nullptr) tokenizer_.chat()->rest();  // what comes now changes gigabytes of weights
  }
  Encoder(const Encoder&) = delete;
  Encoder& operator=(const Encoder&) = delete;

  void add(const Document& document) {
    const bool chat = tokenizer_.chat() != nullptr && !document.messages.empty();
    if (!chat) {
      batch_.push_back({std::string(document.text), document.edges, document.split(), document.text.size(), false});
    } else if (!add_chat(document)) {
      return;
    }
    batch_bytes_ += document.text.size();
    const auto shares = static_cast<size_t>(threads_);
    if (batch_bytes_ >= shares * kShareBytes || batch_.size() >= shares * kShareDocuments) flush();
  }

  /// Why the first conversation was refused that was; "" when none was.
  const std::string& refusal() const { return refusal_; }

  void finish(const std::string& content_hash) {
    flush();
    if (!refusal_.empty() && !wrote_any_) {
      throw Error(
          "of all conversations none can be read: " + refusal_,
          "correct the conversations; or the template, chat_template.jinja beside the checkpoint, and import it again");
    }
    for (auto& writer : writers_) writer->finish(content_hash, tokenizer_.hash());
  }

 private:
  struct Pending {
    std::string text;
    std::vector<size_t> edges;
    Split split;
    size_t bytes;  ///< Of the corpus, not of what the template makes of it.
    bool chat;     ///< Its template wrote what stands before and after a text.
  };

  bool add_chat(const Document& document) {
    try {
      ChatDocument chat = tokenizer_.chat()->document(document.messages);
      batch_.push_back(
          {std::move(chat.text), std::move(chat.edges), document.split(), document.text.size(), /*chat=*/true});
      return true;
    } catch (const JinjaRefusal& refusal) {
      if (refusal_.empty()) refusal_ = refusal.what();
      return false;
    }
  }

  void flush() {
    // A prompt is encoded by itself, as it is when a model is asked, so no token straddles its end.
    std::vector<std::string_view> parts;
    std::vector<bool> continues;
    for (const Pending& document : batch_) {
      size_t begin = 0;
      const auto add_part = [&](size_t end) {
        parts.push_back(std::string_view(document.text).substr(begin, end - begin));
        continues.push_back(begin > 0);
        begin = end;
      };
      for (const size_t edge : document.edges) add_part(edge);
      add_part(document.text.size());
    }
    const auto ids = tokenizer_.encode_many(parts, threads_,
                                            [&](size_t part) { return EncodeOptions{.continues = continues[part]}; });
    std::vector<uint32_t> tokens;
    auto part = ids.begin();
    for (const Pending& document : batch_) {
      tokens.clear();
      // A document without a prompt has an empty first part.
      const bool prompted = !part->empty() || document.edges.empty();
      const auto opening = tokenizer_.opening_of(prompted ? *part : *std::next(part));
      for (const int32_t id : document.chat ? std::span<const int32_t>() : opening) {
        tokens.push_back(static_cast<uint32_t>(id) | TokenData::kNoLoss);
      }
      uint32_t loss = TokenData::kNoLoss;  // of the part before the first edge
      for (size_t at = 0; at <= document.edges.size(); ++at, ++part) {
        loss = at % 2 == 0 ? TokenData::kNoLoss : 0;
        for (const int32_t id : *part) tokens.push_back(static_cast<uint32_t>(id) | loss);
      }
      const std::vector<int32_t> after = document.chat ? std::vector<int32_t>() : tokenizer_.frame().after;
      for (const int32_t id : after) tokens.push_back(static_cast<uint32_t>(id) | loss);
      if (after.empty() || static_cast<uint32_t>(after.back()) != end_) tokens.push_back(end_ | loss);
      writers_.at(static_cast<size_t>(document.split))->add_document(tokens, static_cast<int64_t>(document.bytes));
      wrote_any_ = true;
    }
    batch_.clear();
    batch_bytes_ = 0;
  }

  const Tokenizer& tokenizer_;
  uint32_t end_;
  int threads_;
  std::array<std::unique_ptr<TokenFileWriter>, kSplits.size()> writers_;
  std::vector<Pending> batch_;
  size_t batch_bytes_ = 0;
  bool wrote_any_ = false;
  std::string refusal_;
};

/// Unfinished files of processes that were killed: a living one keeps its own locked.
void remove_stale_files(const fs::path& folder) {
  const auto limit = fs::file_time_type::clock::now() - std::chrono::hours(24);
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    const bool temporary = entry.path().filename().string().starts_with(kTemporaryPrefix);
    if (!temporary || FileLock::is_held(entry.path())) continue;
    if (entry.last_write_time(ignored) < limit) fs::remove(entry.path(), ignored);
  }
}

}  // namespace

const TokenData& TokenCache::split(Split which) const {
  if (which == Split::train) return train;
  return which == Split::validation ? validation : held_out;
}

const TokenData& TokenCache::require(Split which) const {
  const TokenData& data = split(which);
  if (data.documents() > 0) return data;
  throw Error("the data at '" + data_path + "' has no " + std::string(split_name(which)) + " document among its " +
                  std::to_string(summary.documents),
              "add documents: by the hash of its content, one in 20 is held out and one in 20 is for validation");
}

TokenCache build_token_cache(const fs::path& data, const Tokenizer& tokenizer, const fs::path& cache_dir,
                             const ByteProgress& progress, int threads, const RecordFields& fields) {
  tokenizer.end_of_text();  // refuse before reading gigabytes
  const CorpusListing listing = list_corpus(data);
  std::error_code failed;
  fs::create_directories(cache_dir, failed);
  if (failed) throw_file_error("create", cache_dir, failed.value());

  const CorpusMemo memo(listing, cache_dir, fields);
  std::optional<CorpusSummary> summary = memo.load();
  const int64_t scanned = summary ? 0 : listing.total_bytes;
  const int64_t total = scanned + listing.total_bytes;
  const auto report_from = [&](int64_t start) -> ByteProgress {
    if (!progress) return {};
    return [&progress, start, total](int64_t done, int64_t) { progress(start + done, total); };
  };
  if (!summary) {
    summary = for_each_document(
        data, [](const Document&) {}, report_from(0), fields);
    memo.store(*summary);
  }

  const Paths files = cache_files(cache_dir, summary->content_hash, tokenizer.identity());
  std::optional<TokenCache> cache = open_whole(files);
  const bool is_read = scanned > 0 || !cache;
  if (!cache) {
    remove_stale_files(cache_dir);
    const int all = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
    Encoder encoder(tokenizer, files, threads > 0 ? threads : all);
    const auto seen = for_each_document(
        data, [&](const Document& document) { encoder.add(document); }, report_from(scanned), fields);
    if (seen.content_hash != summary->content_hash) {
      throw Error("the data at '" + data.string() + "' changed while it was read", "run the command again");
    }
    encoder.finish(seen.content_hash);
    cache = TokenCache{
        TokenData::open(files[0]), TokenData::open(files[1]), TokenData::open(files[2]), {}, false, 0, {}, {}};
    cache->refusal = encoder.refusal();
  }
  cache->summary = *summary;
  cache->refused_chats = summary->documents;
  for (const Split split : kSplits) cache->refused_chats -= cache->split(split).documents();
  cache->data_path = data.string();
  if (progress && is_read) progress(total, total);
  return *std::move(cache);
}

bool is_in_token_cache(const fs::path& data, const Tokenizer& tokenizer, const fs::path& cache_dir,
                       const RecordFields& fields) {
  try {
    const std::optional<CorpusSummary> summary = CorpusMemo(list_corpus(data), cache_dir, fields).load();
    return summary && open_whole(cache_files(cache_dir, summary->content_hash, tokenizer.identity())).has_value();
  } catch (const Error&) {
    return false;
  }
}

CorpusSummary summarize_corpus(const fs::path& data, const fs::path& cache_dir, const ByteProgress& progress,
                               const RecordFields& fields) {
  const CorpusListing listing = list_corpus(data);
  std::error_code failed;
  fs::create_directories(cache_dir, failed);
  if (failed) throw_file_error("create", cache_dir, failed.value());
  const CorpusMemo memo(listing, cache_dir, fields);
  if (const auto known = memo.load()) return *known;
  const CorpusSummary summary = for_each_document(
      data, [](const Document&) {}, progress, fields);
  memo.store(summary);
  return summary;
}

std::optional<TokenCache> cached_tokens(const std::string& content_hash, const Tokenizer& tokenizer,
                                        const fs::path& cache_dir) {
  std::optional<TokenCache> cache = open_whole(cache_files(cache_dir, content_hash, tokenizer.identity()));
  if (!cache) return std::nullopt;
  cache->summary.content_hash = content_hash;
  for (const Split split : kSplits) {
    cache->summary.documents += cache->split(split).documents();
    cache->summary.text_bytes += cache->split(split).text_bytes();
  }
  return cache;
}

}  // namespace mformer
