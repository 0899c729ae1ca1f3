#include "modules_registry/paths.h"

#include <system_error>

#include "modules_registry/files.h"

namespace mformer {

namespace fs = std::filesystem;

namespace {

/// Calls holds(folder) for the real path and every folder above it, until it says true. Returns that folder, or
/// nothing.
template <class Holds>
fs::path nearest_above(const fs::path& path, Holds holds) {
  for (fs::path folder = real_path(path);; folder = folder.parent_path()) {
    if (holds(folder)) return folder;
    if (folder == folder.parent_path()) return {};
  }
}

}  // namespace

fs::path real_path(const fs::path& path) {
  std::error_code error;
  fs::path real = fs::absolute(path, error);
  if (!error) real = fs::weakly_canonical(real, error);
  if (error) throw_file_error("find", path, error.value());
  return real.has_filename() ? real : real.parent_path();
}

bool lies_in(const fs::path& inner, const fs::path& outer) {
  const fs::path holder = real_path(outer);
  return !nearest_above(inner, [&](const fs::path& folder) {
            std::error_code missing;  // then only the names can be compared
            return folder == holder || fs::equivalent(folder, holder, missing);
          }).empty();
}

fs::path registry_around(const fs::path& path) {
  return nearest_above(path, [](const fs::path& folder) {
    std::error_code missing;
    return folder.filename() == ".mformer" ||
           (fs::exists(folder / "registry.db", missing) && fs::exists(folder / "objects", missing));
  });
}

}  // namespace mformer
