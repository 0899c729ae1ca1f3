#include "core/text/corpus_memo.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/formats/input_file.h"
#include "modules_registry/error.h"
#include "modules_registry/files.h"

namespace mformer {
namespace {

using nlohmann::json;
constexpr size_t kMemoKeyLength = 32;
constexpr int64_t kNanosecondsPerMillisecond = 1'000'000;
constexpr int64_t kSettledMs = 2500;  // the coarsest file systems count in steps of two seconds

struct CountField {
  const char* name;
  int64_t CorpusSummary::*member;
};
constexpr CountField kCounts[] = {
    {"files", &CorpusSummary::files},
    {"documents", &CorpusSummary::documents},
    {"text_bytes", &CorpusSummary::text_bytes},
    {"hidden_skipped", &CorpusSummary::hidden_skipped},
    {"binary_skipped", &CorpusSummary::binary_skipped},
    {"empty_skipped", &CorpusSummary::empty_skipped},
    {"other_skipped", &CorpusSummary::other_skipped},
    {"unread_skipped", &CorpusSummary::unread_skipped},
    {"empty_records", &CorpusSummary::empty_records},
    {"bad_records", &CorpusSummary::bad_records},
};

std::string stat_key(const CorpusListing& listing, const RecordFields& fields) {
  Sha256 sha;
  const auto rule = std::to_string(kReadingRule) + '\0' + fields.str() + '\0';
  sha.update(as_bytes(std::string_view(rule)));
  for (const CorpusFile& file : listing.files) {
    auto line = std::filesystem::absolute(file.path).string() + '\0' + file.relative_path + '\0';
    for (const auto number : {file.bytes, file.modified_ns, file.changed_ns, static_cast<int64_t>(file.inode)}) {
      line += std::to_string(number) + '\0';
    }
    sha.update(as_bytes(std::string_view(line)));
  }
  // Skipped names are no content, but the summary counts them.
  const auto skipped =
      std::to_string(listing.skipped.hidden_skipped) + ' ' + std::to_string(listing.skipped.other_skipped);
  sha.update(as_bytes(std::string_view(skipped)));
  return sha.finish_hex().substr(0, kMemoKeyLength);
}

}  // namespace

CorpusMemo::CorpusMemo(const CorpusListing& listing, const std::filesystem::path& folder, const RecordFields& fields)
    : file_(folder / (stat_key(listing, fields) + ".corpus.json")) {
  for (const CorpusFile& file : listing.files) newest_ns_ = std::max(newest_ns_, file.changed_ns);
}

std::optional<CorpusSummary> CorpusMemo::load() const {
  if (!std::filesystem::exists(file_)) return std::nullopt;
  try {
    const json stored = json::parse(read_bounded_file(file_, kMostJsonBytes, "a memo"));
    CorpusSummary summary;
    for (const auto& [name, member] : kCounts) summary.*member = stored.at(name).get<int64_t>();
    summary.content_hash = stored.at("content_hash").get<std::string>();
    summary.examples = stored.at("examples").get<std::vector<std::string>>();
    return summary;
  } catch (const json::exception&) {
    return std::nullopt;  // a memo is only a short cut
  } catch (const Error&) {
    return std::nullopt;
  }
}

void CorpusMemo::store(const CorpusSummary& summary) const {
  if (newest_ns_ / kNanosecondsPerMillisecond > now_ms() - kSettledMs) return;
  json stored = {{"content_hash", summary.content_hash}, {"examples", summary.examples}};
  for (const auto& [name, member] : kCounts) stored[name] = summary.*member;
  try {
    // An example may quote a name that is no UTF-8.
    const std::string text = stored.dump(-1, ' ', false, json::error_handler_t::replace);
    write_file_atomically(file_, as_bytes(std::string_view(text)));
  } catch (const Error&) {
    // a short cut that can't be kept, in a workspace that may only be read for example: the corpus is read again
  }
}

}  // namespace mformer
