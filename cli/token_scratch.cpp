#include "cli/token_scratch.h"

#include <unistd.h>

#include <system_error>

#include "modules_registry/error.h"
#include "modules_registry/files.h"

namespace mformer::cli {
namespace {

namespace fs = std::filesystem;

fs::path folder_for_temporary_files() {
  std::error_code error;
  fs::path folder = fs::temp_directory_path(error);
  if (error) throw Error("there is no folder for temporary files: " + error.message(), "set TMPDIR to one");
  return folder;
}

/// Files and links, never what a link leads to.
void remove_tokens(const fs::path& folder) {
  std::error_code ignored;
  fs::directory_iterator entry(folder, ignored);
  for (; !ignored && entry != fs::directory_iterator(); entry.increment(ignored)) ::unlink(entry->path().c_str());
  ::rmdir(folder.c_str());
}

}  // namespace

TokenScratch::TokenScratch(const fs::path& cache)
    : folder_(folder_for_temporary_files(), "mformer-tokens", remove_tokens) {
  std::error_code error;
  fs::directory_iterator entry(cache, error);
  for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
    const fs::path name = entry->path().filename();
    if (name.string().starts_with(kTemporaryPrefix)) continue;
    fs::create_symlink(fs::absolute(entry->path()), path() / name);
  }
}

}  // namespace mformer::cli
