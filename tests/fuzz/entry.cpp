// What libFuzzer calls, and our own driver (driver.cpp) likewise: the reader that the environment names.
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "tests/fuzz/fuzz.h"

namespace {

const mformer::fuzz::Reader& chosen_reader() {
  const char* const name = std::getenv("MFORMER_FUZZ_READER");
  for (const mformer::fuzz::Reader& reader : mformer::fuzz::readers()) {
    if (name != nullptr && reader.name == name) return reader;
  }
  std::fputs("MFORMER_FUZZ_READER must be one of:\n", stderr);
  for (const mformer::fuzz::Reader& reader : mformer::fuzz::readers()) {
    std::fprintf(stderr, "  %.*s\n", static_cast<int>(reader.name.size()), reader.name.data());
  }
  std::_Exit(2);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const mformer::fuzz::Reader& reader = chosen_reader();
  mformer::fuzz::run(reader, {reinterpret_cast<const char*>(data), size});
  return 0;
}
