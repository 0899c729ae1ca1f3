#include "core/text/documents.h"

#include <algorithm>
#include <charconv>

#include "core/formats/mapped_file.h"
#include "core/text/json_lines.h"
#include "core/text/text_pieces.h"
#include "modules_registry/error.h"
#include "modules_registry/files.h"

namespace mformer {
namespace {

constexpr size_t kBinaryProbe = 8UL << 10U;

bool is_blank(std::string_view line) {
  return line.find_first_not_of(" \t\r") == std::string_view::npos;
}

/// Walks the files of a corpus and keeps the books.
class Reader {
 public:
  Reader(const CorpusListing& listing, const DocumentVisitor& visit, const ByteProgress& progress)
      : listing_(listing), visit_(visit), progress_(progress), summary_(listing.skipped) {}

  CorpusSummary run() {
    for (const CorpusFile& file : listing_.files) {
      read(file);
      bytes_before_ += file.bytes;
      report(0);
    }
    summary_.content_hash = content_.finish_hex();
    return summary_;
  }

 private:
  void read(const CorpusFile& file) {
    if (file.bytes == 0) {
      ++summary_.empty_skipped;
      return;
    }
    const MappedFile mapped = map_file(file.path);
    const std::string_view text(reinterpret_cast<const char*>(mapped.bytes.data()), mapped.bytes.size());
    if (text.substr(0, kBinaryProbe).find('\0') != std::string_view::npos) {
      ++summary_.binary_skipped;
      return;
    }
    ++summary_.files;
    note(file.relative_path + '\n' + std::to_string(file.bytes) + '\n');
    if (file.path.extension() == ".jsonl") {
      read_lines(file.path, text);
    } else {
      read_plain(text, text);
    }
  }

  void read_lines(const std::filesystem::path& path, std::string_view text) {
    size_t number = 0;
    for (size_t at = 0; at < text.size();) {
      const size_t end = std::min(text.find('\n', at), text.size());
      const std::string_view line = text.substr(at, end - at);
      at = end + 1;
      ++number;
      if (is_blank(line)) continue;
      const JsonLine parsed = parse_json_line(line, "'" + path.string() + "':" + std::to_string(number));
      if (parsed.text.empty()) {
        ++summary_.empty_skipped;
      } else if (parsed.prompt_bytes == 0) {
        read_plain(parsed.text, {});
      } else {
        emit(parsed.text, parsed.prompt_bytes);
      }
      report(static_cast<int64_t>(std::min(at, text.size())));
    }
  }

  /// `file` is the text of the whole file when `text` is a part of it, for progress.
  void read_plain(std::string_view text, std::string_view file) {
    while (!text.empty()) {
      const size_t length = first_piece(text);
      emit(text.substr(0, length), 0);
      text.remove_prefix(length);
      if (!file.empty()) report(static_cast<int64_t>(file.size() - text.size()));
    }
  }

  void emit(std::string_view text, size_t prompt_bytes) {
    const Document document{text, prompt_bytes, sha256_hex(text)};
    ++summary_.documents;
    summary_.text_bytes += static_cast<int64_t>(text.size());
    // Where the prompt ends is content too: it decides about the loss.
    note(document.hash + ' ' + std::to_string(prompt_bytes) + '\n');
    visit_(document);
  }

  void note(const std::string& text) { content_.update(as_bytes(text)); }

  void report(int64_t bytes_of_file) const {
    if (progress_) progress_(bytes_before_ + bytes_of_file, listing_.total_bytes);
  }

  const CorpusListing& listing_;
  const DocumentVisitor& visit_;
  const ByteProgress& progress_;
  CorpusSummary summary_;
  Sha256 content_;
  int64_t bytes_before_ = 0;
};

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

CorpusSummary for_each_document(const std::filesystem::path& data, const DocumentVisitor& visit,
                                const ByteProgress& progress) {
  const CorpusListing listing = list_corpus(data);
  CorpusSummary summary = Reader(listing, visit, progress).run();
  if (summary.documents == 0) {
    throw Error("there is no readable text at '" + data.string() + "': " + std::to_string(summary.binary_skipped) +
                    " binary and " + std::to_string(summary.empty_skipped) + " empty files or lines",
                "put UTF-8 text or .jsonl files there");
  }
  return summary;
}

}  // namespace mformer
