#include "tests/fuzz/fuzz.h"

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <typeinfo>

#include "modules_registry/printable.h"

namespace mformer::fuzz {
namespace {

namespace fs = std::filesystem;

/// The longest sentence has a few names, of at most 120 bytes each, the file's path, and what is expected.
constexpr std::size_t kLongestSentence = 1000;

std::size_t were_read = 0;

void check_refusal(const Error& error) {
  const std::string_view what = error.what();
  must(!what.empty(), "a refusal says something");
  for (const std::string_view text : {what, std::string_view(error.hint())}) {
    must(text.size() <= kLongestSentence,
         "a refusal is no longer than a sentence: " + std::string(text.substr(0, 2000)));
    must(is_printable(text), "a refusal is one line of printable text: " + printable(text));
  }
}

bool is_plain_name(std::string_view name) {
  constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.";
  return !name.empty() && name.size() <= 64 && name.front() != '.' &&
         name.find_first_not_of(kLetters) == std::string_view::npos;
}

}  // namespace

void run(const Reader& reader, std::string_view input) {
  try {
    reader.read(input);
    ++were_read;
  } catch (const Error& error) {
    check_refusal(error);
  } catch (const std::exception& error) {
    must(false, std::string("only Errors leave a reader, but here ") + typeid(error).name() + ": " + error.what());
  }
}

std::size_t inputs_read() {
  return were_read;
}

void must(bool holds, std::string_view rule) {
  if (holds) return;
  std::fprintf(stderr, "broken rule: %.*s\n", static_cast<int>(rule.size()), rule.data());
  std::abort();
}

Scratch& Scratch::folder() {
  static Scratch scratch;
  return scratch;
}

Scratch::Scratch() {
  std::error_code none;
  const fs::path memory = "/dev/shm";
  std::string name = ((fs::is_directory(memory, none) ? memory : fs::temp_directory_path()) / "fuzz-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) must(false, "a folder for files can be made");
  path_ = name;
}

Scratch::~Scratch() {
  std::error_code stays;
  fs::remove_all(path_, stays);
}

fs::path Scratch::write(std::string_view name, std::string_view bytes) const {
  const fs::path file = path_ / name;
  std::ofstream(file, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  return file;
}

void Scratch::clear() const {
  for (const fs::directory_entry& entry : fs::directory_iterator(path_)) fs::remove_all(entry.path());
}

void write_parts(std::string_view input, const Scratch& scratch) {
  constexpr std::string_view kMark = "== ";
  scratch.clear();
  while (!input.empty()) {
    const std::size_t next = input.find("\n== ", 1);
    const std::string_view part = input.substr(0, next);
    input.remove_prefix(next == std::string_view::npos ? input.size() : next + 1);
    const std::size_t line = part.find('\n');
    if (!part.starts_with(kMark) || line == std::string_view::npos) continue;
    const std::string_view name = part.substr(kMark.size(), line - kMark.size());
    if (is_plain_name(name)) scratch.write(name, part.substr(line + 1));
  }
}

}  // namespace mformer::fuzz
