#include "cli/output_file.h"

#include <filesystem>
#include <fstream>

#include "modules_registry/error.h"
#include "modules_registry/paths.h"

namespace mformer::cli {

void require_replaceable(const std::string& path, const std::string& kind,
                         const std::function<bool(const std::string&)>& is_ours) {
  const std::filesystem::path memory = registry_around(path);
  if (!memory.empty()) {
    throw Error("'" + path + "' lies in the memory of a workspace, '" + memory.string() + "'",
                "name a file outside of it");
  }
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (!std::filesystem::exists(status)) return;
  if (!std::filesystem::is_regular_file(status)) throw Error("'" + path + "' is not a file", "name another");
  if (is_ours(path)) return;
  throw Error("'" + path + "' exists and is no " + kind + ", and nothing else is ever replaced", "name another file");
}

void require_output(const std::string& path, const std::string& kind,
                    const std::function<bool(const std::string&)>& is_ours) {
  if (path.empty()) throw UsageError("the " + kind + " to be written has an empty name", "name a file");
  require_replaceable(path, kind, is_ours);
  const std::filesystem::path folder = std::filesystem::absolute(path).parent_path();
  if (std::filesystem::is_directory(folder)) return;
  throw UsageError("'" + path + "' can't be written: there is no folder '" + folder.string() + "'",
                   "make it first, with mkdir, or name another file");
}

bool has_first_line(const std::string& path, const std::string& line) {
  std::ifstream file(path);
  std::string first(line.size() + 1, '\0');
  file.read(first.data(), static_cast<std::streamsize>(first.size()));
  return first == line + '\n';
}

}  // namespace mformer::cli
