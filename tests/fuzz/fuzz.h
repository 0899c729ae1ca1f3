#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "modules_registry/error.h"

/// Readers of files that may come from anybody, and what must hold for any bytes whatsoever (tests/fuzz/README.md).
namespace mformer::fuzz {

/// Reads `input` as a file of the kind and uses what was read. May throw Error, which is checked to be one a user can
/// read; every other exception, signal or broken rule ends the process.
struct Reader {
  std::string_view name;
  void (*read)(std::string_view input);
};

/// All that this program knows; each program of tests/fuzz/CMakeLists.txt has its own list.
std::span<const Reader> readers();

/// Runs one input; no exception leaves it.
void run(const Reader& reader, std::string_view input);

/// How many inputs were read so far, and not refused.
std::size_t inputs_read();

/// Ends the process unless `holds`; `rule` says what should hold.
void must(bool holds, std::string_view rule);

/// What `make` gives; an Error of it breaks the rule.
template <typename Make>
auto must_succeed(std::string_view rule, const Make& make) {
  try {
    return make();
  } catch (const Error& error) {
    must(false, std::string(rule) + ": " + error.what());
    throw;
  }
}

/// A folder of this process's own in memory, emptied by clear(); gone with the object.
class Scratch {
 public:
  /// One that all readers share, gone with the process.
  static Scratch& folder();
  Scratch();
  ~Scratch();
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  const std::filesystem::path& path() const { return path_; }
  /// Writes a file and says where.
  std::filesystem::path write(std::string_view name, std::string_view bytes) const;
  void clear() const;

 private:
  std::filesystem::path path_;
};

/// Several files in one input: each after a line "== NAME". A name is at most 64 letters, digits, '_', '-' and '.', and
/// does not begin with a dot; other parts are left out.
void write_parts(std::string_view input, const Scratch& scratch);

}  // namespace mformer::fuzz
