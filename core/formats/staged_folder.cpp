#include "core/formats/staged_folder.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <nlohmann/json.hpp>
#include <vector>

#include "core/formats/input_file.h"
#include "core/formats/quoted_name.h"
#include "modules_registry/error.h"
#include "modules_registry/files.h"
#include "modules_registry/temporaries.h"

namespace mformer {
namespace {

namespace fs = std::filesystem;

constexpr const char* kConfig = "config.json";
constexpr const char* kProvenance = "mformer_provenance.json";
constexpr const char* kCard = "README.md";
constexpr std::string_view kNames[] = {kConfig,
                                       kProvenance,
                                       kCard,
                                       "modeling_mformer.py",
                                       "mformer_domains.safetensors",
                                       "model.safetensors",
                                       "model.safetensors.index.json",
                                       "tokenizer.json",
                                       "tokenizer_config.json",
                                       "generation_config.json"};

/// "model-00001-of-00003.safetensors"
bool is_shard(std::string_view name) {
  constexpr std::string_view kBegin = "model-", kOf = "-of-", kEnd = ".safetensors";
  if (!name.starts_with(kBegin) || !name.ends_with(kEnd)) return false;
  name = name.substr(kBegin.size(), name.size() - kBegin.size() - kEnd.size());
  const std::size_t at = name.find(kOf);
  const auto is_number = [](std::string_view text) {
    return text.size() >= 5 && std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isdigit(c); });
  };
  return at != std::string_view::npos && is_number(name.substr(0, at)) && is_number(name.substr(at + kOf.size()));
}

bool is_of_export(const fs::path& file) {
  std::error_code error;
  const std::string name = file.filename().string();
  return fs::is_regular_file(fs::symlink_status(file, error)) &&
         (std::find(std::begin(kNames), std::end(kNames), name) != std::end(kNames) || is_shard(name));
}

std::vector<fs::path> entries(const fs::path& folder) {
  std::error_code error;
  std::vector<fs::path> found;
  fs::directory_iterator entry(folder, error);
  for (; !error && entry != fs::directory_iterator(); entry.increment(error)) found.push_back(entry->path());
  if (error) throw_file_error("list", folder, error.value());
  return found;
}

/// Null unless it can be read as such.
nlohmann::json read_provenance(const fs::path& file) {
  auto provenance = nlohmann::json::parse(read_bounded_file(file, kMostJsonBytes, "a provenance"), nullptr,
                                          /*allow_exceptions=*/false);
  const bool is_one = provenance.is_object() && provenance.contains("format") && provenance.contains("version") &&
                      provenance.contains("modules");
  return is_one ? std::move(provenance) : nlohmann::json();
}

/// Removes an export's files, and the folder unless something else is in it. What can't be removed stays.
void remove_export(const fs::path& folder) noexcept {
  try {
    for (const fs::path& file : entries(folder)) {
      const bool unfinished = file.filename().string().starts_with(kTemporaryPrefix);  // of write_file_atomically
      std::error_code ignored;
      if (is_of_export(file) || (unfinished && fs::is_regular_file(fs::symlink_status(file, ignored)))) {
        fs::remove(file, ignored);
      }
    }
    ::rmdir(folder.c_str());
  } catch (const std::exception&) {
    // It can't be listed, so it is left where it is.
  }
}

/// `folder` is what `target` names, or named until a moment ago.
void require_export(const fs::path& folder, const fs::path& target) {
  const std::string foreign = why_not_an_export(folder);
  if (foreign.empty()) return;
  throw Error("'" + target.string() +
                  "' is not an export of mformer and nothing else, and only that is overwritten: " + foreign,
              "choose another folder");
}

bool exchange(const fs::path& a, const fs::path& b) {
  return ::renameat2(AT_FDCWD, a.c_str(), AT_FDCWD, b.c_str(), RENAME_EXCHANGE) == 0;
}

}  // namespace

std::string why_not_an_export(const fs::path& folder) {
  bool config = false, provenance = false, card = false;
  for (const fs::path& entry : entries(folder)) {
    const std::string name = entry.filename().string();
    if (!is_of_export(entry)) return "it holds " + quoted_name(name) + ", which no export has";
    config = config || name == kConfig;
    provenance = provenance || name == kProvenance;
    card = card || name == kCard;
  }
  if (!config) return "it has no config.json";
  const nlohmann::json told = provenance ? read_provenance(folder / kProvenance) : nlohmann::json();
  if (told.is_null()) return "it has no mformer_provenance.json, so mformer did not write it";
  if (card && told.value("card", nlohmann::json()) != sha256_file(folder / kCard)) {
    return "its README.md is not as it was written";
  }
  return "";
}

void require_replaceable(const fs::path& target, bool overwrite) {
  std::error_code error;
  if (!fs::exists(fs::symlink_status(target, error))) return;
  if (!fs::is_directory(target, error)) {
    throw Error("'" + target.string() + "' exists and is not a folder", "choose another name");
  }
  if (entries(target).empty()) return;
  if (overwrite) return require_export(target, target);
  throw Error("'" + target.string() + "' already exists and is not empty",
              why_not_an_export(target).empty() ? "choose another folder, or add --overwrite: it is an export"
                                                : "choose another folder");
}

StagedFolder::StagedFolder(const fs::path& target) : scratch_(target.parent_path(), "export", remove_export) {}

void StagedFolder::move_to(const fs::path& target, bool overwrite) {
  require_replaceable(target, overwrite);
  std::error_code error;
  const bool was_folder = fs::exists(target, error);
  if (::rename(path().c_str(), target.c_str()) == 0) return put_where_nothing_was(target, was_folder);
  if (errno != ENOTEMPTY && errno != EEXIST) throw_file_error("write", target, errno);
  scratch_.lock_too(target);
  if (exchange(path(), target)) return exchange_with(target);
  if (errno != EINVAL && errno != ENOSYS) throw_file_error("write", target, errno);
  move_in_two_steps(target);
}

/// After the move: makes it last, or takes it back.
void StagedFolder::put_where_nothing_was(const fs::path& target, bool was_folder) {
  try {
    sync_folder(target.parent_path());
  } catch (const Error& error) {
    if (::rename(target.c_str(), path().c_str()) != 0) {
      scratch_.now_at({});
      throw_may_not_last(error, target);
    }
    if (was_folder) ::mkdir(target.c_str(), 0777);
    throw;
  }
  scratch_.now_at({});
}

/// After the exchange path() names the old export. What came into it since the first look is found here, and the
/// exchange undone: by this name nobody else looks for it.
void StagedFolder::exchange_with(const fs::path& target) {
  try {
    require_export(path(), target);
    sync_folder(target.parent_path());
  } catch (const Error& error) {
    if (exchange(path(), target)) throw;
    scratch_.now_at({});  // both stay, the old one under the temporary name
    throw_may_not_last(error, target);
  }
}

void StagedFolder::move_in_two_steps(const fs::path& target) {
  const fs::path old = target.string() + ".old-" + random_uid();
  if (::rename(target.c_str(), old.c_str()) != 0) throw_file_error("write", target, errno);
  bool in_place = false;
  try {
    require_export(old, target);
    if (::rename(path().c_str(), target.c_str()) != 0) throw_file_error("write", target, errno);
    in_place = true;
    sync_folder(target.parent_path());
  } catch (const Error&) {
    if (in_place) ::rename(target.c_str(), path().c_str());
    ::rename(old.c_str(), target.c_str());
    throw;
  }
  scratch_.now_at(old);
}

}  // namespace mformer
