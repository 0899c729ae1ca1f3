#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/formats/hub_folder.h"
#include "core/formats/mapped_file.h"
#include "core/formats/quoted_name.h"
#include "modules_registry/error.h"
#include "modules_registry/files.h"

namespace mformer {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// What readers of the format look for: the tensors are laid out as PyTorch's.
const std::map<std::string, std::string> kMetadata{{"format", "pt"}};

bool is_empty_or_absent(const fs::path& folder) {
  std::error_code error;
  if (!fs::exists(fs::symlink_status(folder, error))) return true;
  return fs::is_directory(folder, error) && fs::is_empty(folder, error) && !error;
}

void check_target(const fs::path& folder, bool overwrite) {
  std::error_code error;
  if (fs::exists(folder, error) && !fs::is_directory(folder, error)) {
    throw Error("'" + folder.string() + "' exists and is not a folder", "choose another name");
  }
  if (!overwrite && !is_empty_or_absent(folder)) {
    throw Error("'" + folder.string() + "' already exists and is not empty",
                "choose another folder, or add --overwrite");
  }
}

// A folder beside `target` that vanishes unless it is moved into place.
class TemporaryFolder {
 public:
  explicit TemporaryFolder(const fs::path& target)
      : path_(target.parent_path() / (std::string(kTemporaryPrefix) + random_uid())) {
    std::error_code error;
    if (!fs::create_directory(path_, error)) throw_file_error("write", target, error.value());
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const fs::path& path() const { return path_; }

  // Exchanging the two names keeps the target whole at every moment; the old contents then go with this object.
  void move_to(const fs::path& target) {
    if (::rename(path_.c_str(), target.c_str()) == 0) return;
    if (errno != ENOTEMPTY && errno != EEXIST) throw_file_error("write", target, errno);
    if (::renameat2(AT_FDCWD, path_.c_str(), AT_FDCWD, target.c_str(), RENAME_EXCHANGE) == 0) return;
    if (errno != EINVAL && errno != ENOSYS) throw_file_error("write", target, errno);
    move_in_two_steps(target);
  }

 private:
  // For file systems without the exchange: a crash between the steps leaves the old folder beside it.
  void move_in_two_steps(const fs::path& target) {
    const fs::path old = path_.string() + "-old";
    if (::rename(target.c_str(), old.c_str()) != 0) throw_file_error("write", target, errno);
    if (::rename(path_.c_str(), target.c_str()) != 0) {
      const int code = errno;
      ::rename(old.c_str(), target.c_str());
      throw_file_error("write", target, code);
    }
    path_ = old;
  }

  fs::path path_;
};

std::vector<std::vector<TensorToWrite>> split(const std::vector<TensorToWrite>& tensors, std::uint64_t max_bytes) {
  std::vector<std::vector<TensorToWrite>> shards(1);
  std::uint64_t filled = 0;
  for (const TensorToWrite& tensor : tensors) {
    if (!shards.back().empty() && filled + tensor.data.size() > max_bytes) {
      shards.emplace_back();
      filled = 0;
    }
    shards.back().push_back(tensor);
    filled += tensor.data.size();
  }
  return shards;
}

std::string shard_name(std::size_t number, std::size_t count) {
  char name[64];
  std::snprintf(name, sizeof name, "model-%05zu-of-%05zu.safetensors", number, count);
  return name;
}

void write_weights(const fs::path& folder, const std::vector<TensorToWrite>& tensors, std::uint64_t max_bytes) {
  const auto shards = split(tensors, max_bytes);
  if (shards.size() == 1) {
    write_safetensors(folder / "model.safetensors", tensors, kMetadata);
    return;
  }
  json weight_map = json::object();
  std::uint64_t total = 0;
  for (std::size_t i = 0; i < shards.size(); ++i) {
    const std::string name = shard_name(i + 1, shards.size());
    for (const TensorToWrite& tensor : shards[i]) {
      if (weight_map.contains(tensor.name)) throw Error("tensor " + quoted_name(tensor.name) + " is given twice");
      weight_map[tensor.name] = name;
      total += tensor.data.size();
    }
    write_safetensors(folder / name, shards[i], kMetadata);
  }
  const json index = {{"metadata", {{"total_size", total}}}, {"weight_map", weight_map}};
  write_file_atomically(folder / "model.safetensors.index.json", as_bytes(index.dump(2) + "\n"));
}

void write_extra_files(const fs::path& folder, const std::map<std::string, std::string>& files) {
  for (const auto& [name, contents] : files) {
    if (name.empty() || fs::path(name).filename() != name || fs::exists(folder / name)) {
      throw Error("an extra file of a checkpoint can't be called " + quoted_name(name));
    }
    write_file_atomically(folder / name, as_bytes(contents));
  }
}

}  // namespace

void write_hub_folder(const fs::path& folder, const ModelConfig& config, const std::vector<TensorToWrite>& tensors,
                      const HubWriteOptions& options) {
  // Without a trailing slash, with a parent, and through links: what is replaced is the folder itself.
  const fs::path target = fs::weakly_canonical(fs::absolute(folder / "").parent_path());
  check_target(target, options.overwrite);
  std::error_code error;
  fs::create_directories(target.parent_path(), error);
  if (error) throw_file_error("create", target.parent_path(), error.value());

  TemporaryFolder temporary(target);
  write_file_atomically(temporary.path() / "config.json", as_bytes(config.to_json()));
  write_weights(temporary.path(), tensors, options.max_shard_bytes);
  if (options.tokenizer_path) {
    write_file_atomically(temporary.path() / "tokenizer.json", map_file(*options.tokenizer_path).bytes);
  }
  write_extra_files(temporary.path(), options.extra_files);
  sync_folder(temporary.path());
  temporary.move_to(target);
  sync_folder(target.parent_path());
}

}  // namespace mformer
