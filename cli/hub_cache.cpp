#include "cli/hub_cache.h"

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <vector>

#include "modules_registry/error.h"

namespace mformer::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPrefix = "models--";

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

fs::path cache_folder() {
  for (const char* name : {"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"}) {
    if (const std::string folder = variable(name); !folder.empty()) return folder;
  }
  if (const std::string home = variable("HF_HOME"); !home.empty()) return fs::path(home) / "hub";
  if (const std::string home = variable("HOME"); !home.empty())
    return fs::path(home) / ".cache" / "huggingface" / "hub";
  return {};
}

/// "ORG/NAME": what a hub allows, and no way out of the cache.
bool is_hub_name(const std::string& text) {
  const std::size_t slash = text.find('/');
  if (slash == 0 || slash == std::string::npos || slash + 1 == text.size() || text.front() == '.') return false;
  const std::string allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._";
  std::string letters = text;
  letters.erase(slash, 1);
  return letters.find_first_not_of(allowed) == std::string::npos && text[slash + 1] != '.';
}

/// The first line; of what is no file, or is longer than any name (a link to a device, say), that something stands
/// there.
std::string revision_in(const fs::path& file) {
  constexpr std::uintmax_t longest = 4096;
  std::error_code error;
  if (!fs::exists(file, error)) return {};
  if (!fs::is_regular_file(file, error) || fs::file_size(file, error) > longest) return "?";
  std::ifstream in(file);
  std::string line;
  std::getline(in, line);
  while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.pop_back();
  return line;
}

std::string snapshot_of(const fs::path& model) {
  std::error_code error;
  const fs::path snapshots = model / "snapshots";
  const std::string revision = revision_in(model / "refs" / "main");
  const bool is_name = !revision.empty() && revision.find_first_not_of("0123456789abcdef") == std::string::npos;
  if (is_name && fs::is_directory(snapshots / revision, error)) return (snapshots / revision).string();
  std::vector<fs::path> all;
  for (const auto& entry : fs::directory_iterator(snapshots, error)) {
    if (entry.is_directory(error)) all.push_back(entry.path());
  }
  if (revision.empty() && all.size() == 1) return all.front().string();
  throw Error("the hub's cache '" + model.string() + "' has no snapshot that refs/main names",
              all.empty() ? "it was not downloaded to its end: do that again with the hub's own client"
                          : "name one of the folders in '" + snapshots.string() + "'");
}

bool is_cached_model(const fs::path& folder) {
  std::error_code error;
  return fs::is_directory(folder / "snapshots", error) && !fs::exists(folder / "config.json", error);
}

/// What the hub's own client takes for a name, so that it finds what is written under it.
bool is_new_hub_name(const std::string& text) {
  constexpr std::size_t kLongestName = 96;
  const auto is_odd = [](char letter) { return letter == '-' || letter == '.'; };
  const std::size_t slash = text.find('/');
  if (!is_hub_name(text) || text.size() > kLongestName || text.ends_with(".git")) return false;
  if (text.find("--") != std::string::npos || text.find("..") != std::string::npos) return false;
  return !is_odd(text.front()) && !is_odd(text.back()) && !is_odd(text[slash - 1]) && !is_odd(text[slash + 1]);
}

fs::path folder_in(const fs::path& cache, std::string name) {
  name.replace(name.find('/'), 1, "--");
  return cache / (std::string(kPrefix) + name);
}

}  // namespace

std::string hub_model_folder(const std::string& text) {
  if (!is_new_hub_name(text)) {
    throw UsageError("'" + text + "' is no name of a model in the hub's cache", "with --hub-cache DIR is ORG/NAME");
  }
  const fs::path cache = cache_folder();
  if (!cache.empty()) return folder_in(cache, text).string();
  throw Error("nothing says where the hub's cache is", "set HF_HUB_CACHE to its folder, or HOME");
}

std::string checkpoint_place(const std::string& text) {
  std::error_code error;
  if (fs::exists(text, error)) return is_cached_model(text) ? snapshot_of(text) : text;
  if (!is_hub_name(text)) return text;
  const fs::path cache = cache_folder(), model = folder_in(cache, text);
  if (fs::is_directory(model, error)) return snapshot_of(model);
  throw Error(
      "there is no folder '" + text + "' here, and no model of that name in the hub's cache '" + cache.string() + "'",
      "download it with the hub's own client, or name a folder; mformer downloads nothing");
}

}  // namespace mformer::cli
