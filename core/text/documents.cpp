#include "core/text/documents.h"

#include <algorithm>
#include <charconv>

#include "core/text/corpus_reader.h"
#include "core/text/utf8.h"
#include "modules_registry/error.h"
#include "modules_registry/printable.h"

namespace mformer {
namespace {

/// "2 empty files"; nothing for none.
void count(std::string& text, int64_t number, const char* one, const char* many) {
  if (number == 0) return;
  if (!text.empty() && !text.ends_with("; ")) text += ", ";
  text += std::to_string(number) + ' ' + (number == 1 ? one : many);
}

}  // namespace

std::string_view split_name(Split split) {
  switch (split) {
    case Split::train:
      return "train";
    case Split::validation:
      return "validation";
    case Split::held_out:
      return "held_out";
  }
  return "";
}

Split Document::split() const {
  constexpr uint64_t kHeldOut = 50;
  constexpr uint64_t kValidation = 100;
  uint64_t first_bytes = 0;
  std::from_chars(hash.data(), hash.data() + std::min<size_t>(hash.size(), 16), first_bytes, 16);
  const uint64_t rank = first_bytes % 1000;
  if (rank < kHeldOut) return Split::held_out;
  return rank < kValidation ? Split::validation : Split::train;
}

std::string left_out_text(const CorpusSummary& summary) {
  std::string text;
  count(text, summary.hidden_skipped, "hidden file or folder", "hidden files and folders");
  count(text, summary.binary_skipped, "binary file", "binary files");
  count(text, summary.empty_skipped, "empty file", "empty files");
  count(text, summary.unread_skipped, "file of a kind that is not read", "files of a kind that is not read");
  count(text, summary.other_skipped, "link or special file", "links and special files");
  if (!text.empty() && summary.records_left_out() > 0) text += "; ";
  count(text, summary.empty_records, "record without text", "records without text");
  count(text, summary.bad_records, "record that can't be read", "records that can't be read");
  return text;
}

CorpusSummary for_each_document(const std::filesystem::path& data, const DocumentVisitor& visit,
                                const ByteProgress& progress, const RecordFields& fields) {
  const CorpusListing listing = list_corpus(data);
  CorpusSummary summary = CorpusReader(listing, visit, progress, fields).run();
  if (summary.documents > 0) return summary;
  const std::string left_out = left_out_text(summary);
  const std::string first = summary.examples.empty() ? "" : " (" + summary.examples.front() + ")";
  throw Error("there is no readable text at '" + printable(data.string()) + "'" +
                  (left_out.empty() ? "" : ": " + left_out + first),
              "put UTF-8 text or .jsonl files there; to train on another file as it stands, name it .txt");
}

}  // namespace mformer
