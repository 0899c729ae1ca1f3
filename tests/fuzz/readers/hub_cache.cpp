#include "cli/hub_cache.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/readers.h"

namespace mformer::fuzz {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kRevision = "0123abcd";

}  // namespace

/// The layout of a hub's cache: the file refs/main, which may name one of two snapshots or anything else; after a byte
/// 0 the name by which the model is asked for.
void read_hub_cache(std::string_view input) {
  const fs::path& cache = Scratch::folder().path();
  static const bool made = [&] {
    const fs::path model = cache / "models--org--name";
    fs::create_directories(model / "refs");
    fs::create_directories(model / "snapshots" / kRevision);
    fs::create_directories(model / "snapshots" / "4567");
    fs::create_directory(cache / "outside");
    return ::setenv("HF_HUB_CACHE", cache.c_str(), 1) == 0;
  }();
  must(made, "a cache can be made");
  const std::size_t end = std::min(input.find('\0'), input.size());
  Scratch::folder().write("models--org--name/refs/main", input.substr(0, end));
  const std::string asked(input.substr(std::min(end + 1, input.size())));
  const fs::path snapshots = cache / "models--org--name" / "snapshots";
  for (const std::string& name : {std::string("org/name"), asked}) {
    const std::string place = cli::checkpoint_place(name);
    must(place == name || fs::path(place).parent_path() == snapshots, "nothing but a snapshot is meant");
    must(place == name || fs::is_directory(place), "a snapshot that is meant is there");
  }
}

}  // namespace mformer::fuzz
