#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/text/records.h"

namespace mformer {

/// Which use a document is kept for, decided by its content alone and for ever.
enum class Split { train, validation, held_out };

/// The rule behind split_of, as it is recorded with a task.
inline constexpr std::string_view kSplitRule = "sha256-mod1000: heldout <50, validation <100";

/// "train", "validation", "held_out".
std::string_view split_name(Split split);

/// One text of a corpus.
struct Document {
  /// The document's bytes: UTF-8 as a rule, but nothing relies on it.
  std::string_view text;
  /// Where the loss is switched: on at the first of these bytes, off at the second, on at the third, …; {0} for plain
  /// text, the length of the prompt for a pair.
  std::vector<size_t> edges = {0};
  /// SHA-256 of `text`, 64 hex digits.
  std::string hash;
  /// Of a conversation its turns, valid as long as `text`: what a model with a template of its own reads in its place.
  /// Which split it is in `text` decides, for all models alike.
  std::span<const ChatMessage> messages{};

  /// The first 8 bytes of the hash as a big-endian number, modulo 1000: below 50 held out (5 %), below 100 validation
  /// (5 %), the rest training.
  Split split() const;
};

/// What a corpus holds and what was left out of it.
struct CorpusSummary {
  int64_t files = 0;           ///< files read
  int64_t documents = 0;       ///< documents found in them
  int64_t text_bytes = 0;      ///< bytes of all documents
  int64_t hidden_skipped = 0;  ///< files and folders whose name starts with a dot
  int64_t binary_skipped = 0;  ///< files with a NUL among their first 8 KiB
  int64_t empty_skipped = 0;   ///< empty files
  int64_t other_skipped = 0;   ///< links to folders, broken links, and what is neither file nor folder
  int64_t unread_skipped = 0;  ///< files of a kind that is not read (FileForm), and .json files without records
  int64_t empty_records = 0;   ///< records (lines, rows, elements) whose text is empty or null
  int64_t bad_records = 0;     ///< records that can't be read
  std::string content_hash;    ///< SHA-256 (hex) over relative paths, sizes and document hashes, in order
  /// What the first few left out were, and why: a sentence each, fit for a line and for JSON. Hidden and empty ones
  /// aside, which need no reason.
  std::vector<std::string> examples;

  /// Files left out, hidden ones aside.
  int64_t files_left_out() const { return binary_skipped + empty_skipped + other_skipped + unread_skipped; }
  int64_t records_left_out() const { return empty_records + bad_records; }
};

/// "1 binary file, 2 empty files; 3 records that can't be read": all that was left out, or "".
std::string left_out_text(const CorpusSummary& summary);

/// One file of a corpus.
struct CorpusFile {
  std::filesystem::path path;
  std::string relative_path;  ///< below the corpus folder, '/' between parts; the file's name for a single file
  int64_t bytes = 0;
  int64_t modified_ns = 0;  ///< when the content changed, as the file says; ns since the epoch
  int64_t changed_ns = 0;   ///< when content, name or rights changed: the system sets it, no program can set it back
  uint64_t inode = 0;       ///< the file's number in its file system
};

/// The files below `data` in the order of their relative paths (bytewise), hidden ones and non-files left out and
/// counted; or `data` itself when it is a file. Looks at names only. Throws Error when `data` does not exist, can't be
/// listed, or has no files.
struct CorpusListing {
  std::vector<CorpusFile> files;
  int64_t total_bytes = 0;
  CorpusSummary skipped;  ///< only the counts of what the listing left out
};
CorpusListing list_corpus(const std::filesystem::path& data);

/// Called with each document; its text is valid during the call only.
using DocumentVisitor = std::function<void(const Document&)>;
/// Called between documents with the bytes of files read so far and in all.
using ByteProgress = std::function<void(int64_t done, int64_t total)>;

/// The rule by which files become documents, a number that changes with it: what was read by another is read anew.
inline constexpr int kReadingRule = 2;

/// Visits every document below `data` in a fixed order, holding one at a time (docs/data.md).
/// - A text file is one document; plain text of more than 64 KiB is cut into pieces of at most 64 KiB, each at the last
///   paragraph end, else line end, else space, else character of its second half, and each piece is a document.
/// - A `.jsonl`, `.json` or `.csv` file has one document a record, as read_record() writes it out; only those of plain
///   text are cut. A record that can't be read is left out and counted.
/// Throws Error naming the place for files that can't be read, that change meanwhile, or that have records of which
/// none can be read, and when there is no document at all; and whatever the visitor throws.
CorpusSummary for_each_document(const std::filesystem::path& data, const DocumentVisitor& visit,
                                const ByteProgress& progress = {}, const RecordFields& fields = {});

}  // namespace mformer
