#include "core/formats/hub_snapshot.h"

#include <cerrno>
#include <cstdio>
#include <map>
#include <set>
#include <vector>

#include "modules_registry/error.h"
#include "modules_registry/files.h"

namespace mformer {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kRevisionDigits = 40;  // as many as a commit of git has, which readers look for
constexpr std::size_t kLongestRef = 256;

fs::path main_ref(const fs::path& model) {
  return model / "refs" / "main";
}

/// What refs/main says; "" without one.
std::string revision_of(const fs::path& model) {
  std::error_code error;
  const fs::path ref = main_ref(model);
  if (!fs::exists(fs::symlink_status(ref, error))) return "";
  if (!fs::is_regular_file(ref, error) || fs::file_size(ref, error) > kLongestRef) return "?";
  std::string text = read_file(ref);
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' ')) text.pop_back();
  const bool is_name = !text.empty() && text.find_first_not_of("0123456789abcdef") == std::string::npos;
  return is_name ? text : "?";
}

[[noreturn]] void refuse_model(const fs::path& model, const std::string& why) {
  throw Error("'" + model.string() + "' " + why, "give the export another name: ORG/NAME");
}

void make_folder_in(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) throw_file_error("create", folder, error.value());
}

fs::path made(const fs::path& model) {
  require_hub_model(model);
  make_folder_in(model);
  return model;
}

/// A folder of this file's making: nobody else has its name, which is random, and it is locked.
void remove_scratch(const fs::path& folder) noexcept {
  std::error_code error;
  fs::remove_all(folder, error);
}

void rename_to(const fs::path& from, const fs::path& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) throw_file_error("write", to, errno);
}

/// Gives each file the name of its bytes. Returns the hashes by file name.
std::map<std::string, std::string> put_blobs(const fs::path& checkpoint, const fs::path& blobs) {
  std::map<std::string, std::string> hashes;
  std::error_code error;
  std::vector<fs::path> files;  // listed first, since they go
  for (fs::directory_iterator entry(checkpoint, error); !error && entry != fs::directory_iterator();
       entry.increment(error)) {
    files.push_back(entry->path());
  }
  if (error) throw_file_error("read", checkpoint, error.value());
  for (const fs::path& file : files) {
    const std::string hash = sha256_file(file);
    hashes[file.filename().string()] = hash;
    const fs::path blob = blobs / hash;
    // One of the name may be damaged: then it is replaced, which is no change to whoever reads it whole.
    if (fs::is_regular_file(blob, error) && sha256_file(blob) == hash) continue;
    rename_to(file, blob);
  }
  sync_file_system(blobs);
  return hashes;
}

std::string revision_of(const std::map<std::string, std::string>& hashes) {
  std::string text;
  for (const auto& [name, hash] : hashes) text += hash + ' ' + name + '\n';
  return sha256_hex(text).substr(0, kRevisionDigits);
}

fs::path link_to(const std::string& hash) {
  return fs::path("..") / ".." / "blobs" / hash;
}

/// Whether a snapshot has these files and no others.
bool is_whole(const fs::path& snapshot, const std::map<std::string, std::string>& hashes) {
  std::error_code error;
  std::size_t found = 0;
  for (fs::directory_iterator entry(snapshot, error); !error && entry != fs::directory_iterator();
       entry.increment(error)) {
    const auto hash = hashes.find(entry->path().filename().string());
    if (hash == hashes.end() || fs::read_symlink(entry->path(), error) != link_to(hash->second)) return false;
    ++found;
  }
  return !error && found == hashes.size();
}

void put_links(const fs::path& folder, const std::map<std::string, std::string>& hashes) {
  make_folder_in(folder);
  for (const auto& [name, hash] : hashes) {
    std::error_code error;
    fs::create_symlink(link_to(hash), folder / name, error);
    if (error) throw_file_error("write", folder / name, error.value());
  }
}

}  // namespace

void require_hub_model(const fs::path& model) {
  const std::set<std::string> known = {"blobs", "refs", "snapshots", ".no_exist"};
  std::error_code error;
  if (!fs::exists(fs::symlink_status(model, error))) return;
  if (!fs::is_directory(model, error)) refuse_model(model, "is no folder");
  fs::directory_iterator entry(model, error);
  for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    if (known.contains(name) || name.starts_with(kTemporaryPrefix)) continue;
    refuse_model(model, "is no model's folder of a hub's cache: it holds '" + name + "'");
  }
  if (error) throw_file_error("read", model, error.value());
  const std::string revision = revision_of(model);
  if (revision.empty()) return;
  if (fs::exists(model / "snapshots" / revision / "mformer_provenance.json", error)) return;
  refuse_model(model, "is a model that mformer did not write, or that was not downloaded to its end");
}

HubSnapshot::HubSnapshot(const fs::path& model) : model_(model), scratch_(made(model), "hub", remove_scratch) {}

fs::path HubSnapshot::put_in_place() {
  for (const char* name : {"blobs", "refs", "snapshots"}) make_folder_in(model_ / name);
  const std::map<std::string, std::string> hashes = put_blobs(checkpoint(), model_ / "blobs");
  const std::string revision = revision_of(hashes);
  const fs::path snapshot = model_ / "snapshots" / revision, links = scratch_.path() / "snapshot";
  std::error_code error;
  if (!is_whole(snapshot, hashes)) {
    put_links(links, hashes);
    if (fs::exists(fs::symlink_status(snapshot, error))) rename_to(snapshot, scratch_.path() / "broken");
    // Another export of the same files may be faster.
    if (::rename(links.c_str(), snapshot.c_str()) != 0 && !is_whole(snapshot, hashes)) {
      throw_file_error("write", snapshot, errno);
    }
    sync_file_system(snapshot);
  }
  require_hub_model(model_);  // again: the hub's own client may have come meanwhile
  if (revision_of(model_) != revision) write_file_atomically(main_ref(model_), as_bytes(revision));
  return snapshot;
}

}  // namespace mformer
