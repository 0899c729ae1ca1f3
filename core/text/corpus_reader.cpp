#include "core/text/corpus_reader.h"

#include <sys/stat.h>

#include <algorithm>
#include <utility>

#include "core/text/csv_reader.h"
#include "core/text/lenient_json.h"
#include "core/text/text_pieces.h"
#include "core/text/utf8.h"
#include "modules_registry/error.h"
#include "modules_registry/printable.h"

namespace mformer {
namespace {

constexpr size_t kBinaryProbe = 8UL << 10U;
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

std::string shown(const std::filesystem::path& path) {
  return "'" + printable(path.string()) + "'";
}

/// UTF-16 and UTF-32 begin with this, as other systems write them.
bool is_utf16(std::string_view text) {
  return text.starts_with("\xFF\xFE") || text.starts_with("\xFE\xFF") ||
         text.starts_with(std::string_view("\0\0\xFE\xFF", 4));
}

/// Of byte `at` of a record: line and column in the file.
std::string place_in(const RawRecord& record, size_t at) {
  const std::string_view before = record.text.substr(0, at);
  const auto lines = std::ranges::count(before, '\n');
  const size_t feed = before.rfind('\n');
  const int64_t column = feed == std::string_view::npos ? record.column + static_cast<int64_t>(before.size())
                                                        : static_cast<int64_t>(before.size() - feed);
  return "line " + std::to_string(record.line + lines) + ", column " + std::to_string(column);
}

void require_unchanged(const CorpusFile& file) {
  struct stat now {};
  const bool there = ::stat(file.path.c_str(), &now) == 0;
  const int64_t modified = now.st_mtim.tv_sec * 1'000'000'000 + now.st_mtim.tv_nsec;
  if (there && now.st_size == file.bytes && now.st_ino == file.inode && modified == file.modified_ns) return;
  throw Error("the file " + shown(file.path) + " changed while it was read",
              "run the command again; of a file that goes on changing give a copy");
}

}  // namespace

CorpusReader::CorpusReader(const CorpusListing& listing, const DocumentVisitor& visit, const ByteProgress& progress,
                           const RecordFields& fields)
    : listing_(listing), visit_(visit), progress_(progress), fields_(fields), summary_(listing.skipped) {}

CorpusSummary CorpusReader::run() {
  for (const CorpusFile& file : listing_.files) {
    read(file);
    bytes_before_ += file.bytes;
    report(0);
  }
  summary_.content_hash = content_.finish_hex();
  return std::move(summary_);
}

void CorpusReader::read(const CorpusFile& file) {
  if (file.bytes == 0) {
    ++summary_.empty_skipped;
    return;
  }
  const FileForm form = form_of(file.path);
  TextStream stream(file.path, form.gzip && form.kind != FileForm::Kind::unread);
  if (is_left_out(file, form, stream.peek(kBinaryProbe).substr(0, kBinaryProbe))) return;
  ++summary_.files;
  note(file.relative_path + '\n' + std::to_string(file.bytes) + '\n');
  read_as(file, form.kind, stream);
  require_unchanged(file);
}

bool CorpusReader::is_left_out(const CorpusFile& file, const FileForm& form, std::string_view beginning) {
  const bool prose = form.kind == FileForm::Kind::prose;
  if (form.kind == FileForm::Kind::unread) {
    leave_out(&CorpusSummary::unread_skipped, file, form.why);
  } else if (beginning.empty()) {
    ++summary_.empty_skipped;
  } else if (is_utf16(beginning) && beginning.find('\0') != std::string_view::npos) {
    leave_out(&CorpusSummary::binary_skipped, file, "is UTF-16 or UTF-32: save it as UTF-8");
  } else if (prose && beginning.find('\0') != std::string_view::npos) {
    leave_out(&CorpusSummary::binary_skipped, file, "is binary: it has a zero byte near its beginning");
  } else if (beginning.starts_with("version https://git-lfs.github.com/spec/")) {
    leave_out(&CorpusSummary::unread_skipped, file, "is a pointer of Git LFS: git lfs pull fetches the file itself");
  } else {
    return false;
  }
  return true;
}

void CorpusReader::read_as(const CorpusFile& file, FileForm::Kind kind, TextStream& stream) {
  if (kind == FileForm::Kind::prose) return read_prose(stream);
  if (stream.peek(kByteOrderMark.size()).starts_with(kByteOrderMark)) stream.consume(kByteOrderMark.size());
  if (kind == FileForm::Kind::csv || kind == FileForm::Kind::tsv) {
    return read_table(file, kind == FileForm::Kind::csv ? ',' : '\t', stream);
  }
  if (kind == FileForm::Kind::lines || begins_with_a_json_line(stream)) {
    LineSource source(stream);
    return read_json(file, source, stream, /*may_have_none=*/false);
  }
  const std::string_view text = stream.peek(kBinaryProbe);
  const size_t first = text.find_first_not_of(" \t\r\n");
  const bool array = first != std::string_view::npos && text[first] == '[';
  ValueSource source(stream);
  read_json(file, source, stream, /*may_have_none=*/!array);
}

void CorpusReader::read_prose(TextStream& stream) {
  // One byte more than a piece, to see whether the text goes on after it.
  for (std::string_view text = stream.peek(kPieceBytes + 1); !text.empty(); text = stream.peek(kPieceBytes + 1)) {
    const size_t length = first_piece(text);
    emit(text.substr(0, length), {0});
    stream.consume(length);
    report(stream.bytes_read());
  }
}

void CorpusReader::read_json(const CorpusFile& file, RecordSource& source, TextStream& stream, bool may_have_none) {
  Tally tally;
  RawRecord raw;
  while (source.next(raw)) {
    Record record;
    record.problem = raw.problem;
    std::string place = "line " + std::to_string(raw.line);
    if (raw.problem.empty()) {
      const LenientJson json = read_lenient_json(raw.text);
      record.problem = json.problem;
      if (json.problem.empty()) {
        record = read_record(json.value, fields_);
      } else {
        place = place_in(raw, json.at);
      }
    }
    take(record, place, tally);
    report(stream.bytes_read());
  }
  finish(file, tally, may_have_none);
}

void CorpusReader::read_table(const CorpusFile& file, char separator, TextStream& stream) {
  Tally tally;
  CsvReader reader(stream, separator);
  CsvReader::Row row;
  while (reader.next(row)) {
    Record record;
    record.problem = row.problem;
    if (row.problem.empty()) record = read_record(row.record, fields_);
    take(record, "line " + std::to_string(row.line), tally);
    report(stream.bytes_read());
  }
  finish(file, tally, /*may_have_none=*/false);
}

void CorpusReader::take(const Record& record, const std::string& place, Tally& tally) {
  switch (record.state) {
    case Record::State::read:
      ++tally.read;
      record.edges == std::vector<size_t>{0} ? emit_prose(record.text)
                                             : emit(record.text, record.edges, record.messages);
      return;
    case Record::State::empty:
      ++tally.empty;
      return;
    case Record::State::bad:
      if (tally.bad++ == 0) tally.first_problem = place + ", " + record.problem;
      return;
  }
}

/// A file of records of which none can be read is no mistake in a record: the data is not what its owner thinks. Only a
/// .json file may be something else altogether.
void CorpusReader::finish(const CorpusFile& file, const Tally& tally, bool may_have_none) {
  const bool none = tally.read == 0 && tally.empty == 0 && tally.bad > 0;
  if (none && may_have_none) {
    --summary_.files;
    return leave_out(&CorpusSummary::unread_skipped, file, "holds no records (" + tally.first_problem + ")");
  }
  if (none) {
    throw Error("of " + shown(file.path) + " no record can be read: " + tally.first_problem, kRecordForms);
  }
  summary_.empty_records += tally.empty;
  summary_.bad_records += tally.bad;
  if (tally.bad > 0) {
    const std::string others = tally.bad > 1 ? ", and " + std::to_string(tally.bad - 1) + " more" : "";
    example("'" + printable(file.relative_path) + "': " + tally.first_problem + others);
  }
}

void CorpusReader::emit_prose(std::string_view text) {
  while (!text.empty()) {
    const size_t length = first_piece(text);
    emit(text.substr(0, length), {0});
    text.remove_prefix(length);
  }
}

void CorpusReader::emit(std::string_view text, std::vector<size_t> edges, std::span<const ChatMessage> messages) {
  const Document document{text, std::move(edges), sha256_hex(text), messages};
  ++summary_.documents;
  summary_.text_bytes += static_cast<int64_t>(text.size());
  // Where the loss lies is content too.
  std::string line = document.hash;
  for (const size_t edge : document.edges) line += ' ' + std::to_string(edge);
  note(line + '\n');
  visit_(document);
}

void CorpusReader::leave_out(int64_t CorpusSummary::*count, const CorpusFile& file, const std::string& why) {
  ++(summary_.*count);
  example("'" + printable(file.relative_path) + "' " + why);
}

void CorpusReader::example(const std::string& what) {
  if (summary_.examples.size() < kExamples) summary_.examples.push_back(what);
}

void CorpusReader::report(int64_t bytes_of_file) const {
  if (progress_) progress_(bytes_before_ + bytes_of_file, listing_.total_bytes);
}

}  // namespace mformer
