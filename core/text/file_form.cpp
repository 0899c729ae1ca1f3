#include "core/text/file_form.h"

#include <algorithm>
#include <string_view>

namespace mformer {
namespace {

using Kind = FileForm::Kind;

struct Ending {
  std::string_view name;
  Kind kind;
  std::string_view what;  // of an unread one
};

constexpr std::string_view kMarkup = "marked-up text", kTable = "a table of another program",
                           kDocument = "a document of another program", kArchive = "an archive",
                           kArrays = "a file of numbers";
constexpr Ending kEndings[] = {
    {".jsonl", Kind::lines, ""},
    {".ndjson", Kind::lines, ""},
    {".json", Kind::json, ""},
    {".csv", Kind::csv, ""},
    {".tsv", Kind::tsv, ""},
    {".html", Kind::unread, kMarkup},
    {".htm", Kind::unread, kMarkup},
    {".xhtml", Kind::unread, kMarkup},
    {".xml", Kind::unread, kMarkup},
    {".svg", Kind::unread, kMarkup},
    {".rtf", Kind::unread, kMarkup},
    {".warc", Kind::unread, kMarkup},
    {".parquet", Kind::unread, kTable},
    {".arrow", Kind::unread, kTable},
    {".feather", Kind::unread, kTable},
    {".orc", Kind::unread, kTable},
    {".avro", Kind::unread, kTable},
    {".xls", Kind::unread, kTable},
    {".xlsx", Kind::unread, kTable},
    {".ods", Kind::unread, kTable},
    {".db", Kind::unread, kTable},
    {".sqlite", Kind::unread, kTable},
    {".pdf", Kind::unread, kDocument},
    {".ps", Kind::unread, kDocument},
    {".doc", Kind::unread, kDocument},
    {".docx", Kind::unread, kDocument},
    {".odt", Kind::unread, kDocument},
    {".epub", Kind::unread, kDocument},
    {".ipynb", Kind::unread, kDocument},
    {".zip", Kind::unread, kArchive},
    {".tar", Kind::unread, kArchive},
    {".tgz", Kind::unread, kArchive},
    {".bz2", Kind::unread, kArchive},
    {".xz", Kind::unread, kArchive},
    {".zst", Kind::unread, kArchive},
    {".lz4", Kind::unread, kArchive},
    {".7z", Kind::unread, kArchive},
    {".rar", Kind::unread, kArchive},
    {".npy", Kind::unread, kArrays},
    {".npz", Kind::unread, kArrays},
    {".pkl", Kind::unread, kArrays},
    {".pt", Kind::unread, kArrays},
    {".safetensors", Kind::unread, kArrays},
};

std::string lower_ending(const std::filesystem::path& file) {
  std::string ending = file.extension().string();
  std::ranges::transform(ending, ending.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? char(c + 32) : c; });
  return ending;
}

}  // namespace

FileForm form_of(const std::filesystem::path& file) {
  FileForm form;
  const std::string last = lower_ending(file);
  form.gzip = last == ".gz";
  const std::string ending = form.gzip ? lower_ending(file.stem()) : last;
  for (const auto& [name, kind, what] : kEndings) {
    if (name != ending) continue;
    form.kind = kind;
    if (kind == Kind::unread) form.why = "is " + std::string(what) + ", which is not read";
  }
  return form;
}

}  // namespace mformer
