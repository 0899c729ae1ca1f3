#pragma once

#include <filesystem>
#include <string>

namespace mformer {

/// How a corpus file is read, by the ending of its name in upper or lower case; ".gz" behind it says that it is packed.
struct FileForm {
  enum class Kind {
    prose,  ///< the whole file is text, as it stands: everything that has none of the endings below
    lines,  ///< .jsonl, .ndjson: a record a line
    json,   ///< .json: an array of records, one record, or records a line
    csv,    ///< .csv: a table with a head
    tsv,    ///< .tsv: the same, with tabs
    unread  ///< marked-up text, archives, documents and tables of other programs
  };
  Kind kind = Kind::prose;
  bool gzip = false;
  std::string why;  ///< of an unread one: half a sentence
};

FileForm form_of(const std::filesystem::path& file);

}  // namespace mformer
