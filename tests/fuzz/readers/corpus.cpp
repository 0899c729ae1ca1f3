#include <nlohmann/json.hpp>

#include "core/text/documents.h"
#include "core/text/gzip_reader.h"
#include "core/text/lenient_json.h"
#include "core/text/records.h"
#include "core/text/token_cache.h"
#include "core/text/utf8.h"
#include "modules_registry/files.h"
#include "modules_registry/json_depth.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/readers.h"

namespace mformer::fuzz {
namespace {

void check(const Document& document) {
  for (std::size_t i = 0; i < document.edges.size(); ++i) {
    must(document.edges[i] <= document.text.size(), "loss is switched inside the text");
    must(i == 0 || document.edges[i] >= document.edges[i - 1], "loss is switched in the order of the text");
  }
}

bool is_valid(const std::string& text) {
  return utf8_valid_prefix(text) == text.size();
}

}  // namespace

/// A file of data whose first line is its name's ending: "jsonl", "json", "csv", "tsv", "txt", "jsonl.gz".
void read_corpus(std::string_view input) {
  constexpr std::string_view kEndings[] = {"jsonl", "json", "csv", "tsv", "txt", "jsonl.gz", "csv.gz"};
  const std::size_t line = std::min(input.find('\n'), input.size());
  for (const std::string_view ending : kEndings) {
    if (input.substr(0, line) != ending) continue;
    const Scratch& scratch = Scratch::folder();
    scratch.clear();
    const auto file = scratch.write("data." + std::string(ending), input.substr(std::min(line + 1, input.size())));
    std::int64_t documents = 0;
    const CorpusSummary summary = for_each_document(file, [&](const Document& document) {
      check(document);
      ++documents;
    });
    must(summary.documents == documents, "all documents are counted");
    for (const std::string& example : summary.examples) must(example.size() <= 600, "an example is a sentence");
    return;
  }
}

/// One record: read as programs write them, which includes all that is JSON.
void read_json_line(std::string_view input) {
  const LenientJson read = read_lenient_json(input);
  const nlohmann::json strict = json_deeper_than(input, 64) ? nlohmann::json(nlohmann::json::value_t::discarded)
                                                            : nlohmann::json::parse(input, nullptr, false);
  must(read.problem.size() <= 100, "a problem is half a sentence");
  must(read.at <= input.size(), "a problem lies in the text");
  if (!read.problem.empty()) return;
  must(strict.is_discarded() || read.value == strict, "what is JSON is read as such");
  const std::string text = must_succeed("what was read is text", [&] {
    return read.value.dump(-1, ' ', false, nlohmann::json::error_handler_t::strict);
  });
  must(is_valid(text), "what was read is UTF-8");
  const Record record = read_record(read.value, {});
  must(record.state != Record::State::read || is_valid(record.text), "a record's text is UTF-8");
  must(record.problem.size() <= 200, "a record's problem is half a sentence");
  for (const std::size_t edge : record.edges) must(edge <= record.text.size(), "loss is switched inside the text");
}

void read_gzip(std::string_view input) {
  std::string_view left = input;
  GzipReader reader(
      [&](std::span<std::byte> to) {
        const std::size_t count = std::min(to.size(), left.size());
        std::copy_n(as_bytes(left).begin(), count, to.begin());
        left.remove_prefix(count);
        return count;
      },
      "input.gz");
  std::vector<std::byte> block(1 << 16);
  std::uint64_t all = 0;
  while (const std::size_t got = reader.read(block)) all += got;
  must(all <= GzipReader::kAlwaysAllowed + GzipReader::kMostGrowth * input.size(), "no bomb is unpacked");
}

void read_token_file(std::string_view input) {
  const TokenData tokens = TokenData::open(Scratch::folder().write("x.tokens", input));
  std::uint64_t all = 0;
  for (std::int64_t i = 0; i < tokens.documents(); ++i) all += tokens.document(i).size();
  must(all == tokens.starts().back(), "documents make up the tokens");
}

}  // namespace mformer::fuzz
