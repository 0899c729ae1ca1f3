#pragma once

#include <string>
#include <string_view>

#include "core/text/documents.h"
#include "core/text/file_form.h"
#include "core/text/record_source.h"
#include "modules_registry/files.h"

namespace mformer {

/// Walks the files of a corpus and keeps the books; behind for_each_document().
class CorpusReader {
 public:
  /// How many of what is left out are named; the rest is only counted.
  static constexpr std::size_t kExamples = 5;

  CorpusReader(const CorpusListing& listing, const DocumentVisitor& visit, const ByteProgress& progress,
               const RecordFields& fields);
  /// To be called once.
  CorpusSummary run();

 private:
  /// The records of one file.
  struct Tally {
    int64_t read = 0, empty = 0, bad = 0;
    std::string first_problem;
  };

  void read(const CorpusFile& file);
  bool is_left_out(const CorpusFile& file, const FileForm& form, std::string_view beginning);
  void read_as(const CorpusFile& file, FileForm::Kind kind, TextStream& stream);
  void read_prose(TextStream& stream);
  void read_json(const CorpusFile& file, RecordSource& source, TextStream& stream, bool may_have_none);
  void read_table(const CorpusFile& file, char separator, TextStream& stream);
  void take(const Record& record, const std::string& place, Tally& tally);
  void finish(const CorpusFile& file, const Tally& tally, bool may_have_none);
  void emit_prose(std::string_view text);
  void emit(std::string_view text, std::vector<size_t> edges, std::span<const ChatMessage> messages = {});
  void leave_out(int64_t CorpusSummary::*count, const CorpusFile& file, const std::string& why);
  void example(const std::string& what);
  void note(const std::string& text) { content_.update(as_bytes(text)); }
  void report(int64_t bytes_of_file) const;

  const CorpusListing& listing_;
  const DocumentVisitor& visit_;
  const ByteProgress& progress_;
  const RecordFields& fields_;
  CorpusSummary summary_;
  Sha256 content_;
  int64_t bytes_before_ = 0;
};

}  // namespace mformer
