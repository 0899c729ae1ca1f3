#include <cstdio>
#include <nlohmann/json.hpp>

#include "core/checkpoint/hub_folder.h"
#include "core/families/family.h"
#include "core/formats/quoted_name.h"
#include "core/formats/staged_folder.h"
#include "modules_registry/error.h"
#include "modules_registry/files.h"
#include "modules_registry/paths.h"

namespace mformer {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// What readers of the format look for: the tensors are laid out as PyTorch's.
const std::map<std::string, std::string> kMetadata{{"format", "pt"}};

/// Some tensors of a checkpoint that follow each other, for a file of their own.
struct Shard {
  std::size_t first = 0;
  std::vector<TensorInfo> tensors;
  std::uint64_t bytes = 0;
};

std::vector<Shard> split(const std::vector<TensorInfo>& tensors, std::uint64_t max_bytes) {
  std::vector<Shard> shards(1);
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    // A shape that no file can hold is refused where it is written.
    const std::uint64_t bytes = tensor_bytes(tensors[i].dtype, tensors[i].shape).value_or(0);
    if (!shards.back().tensors.empty() && shards.back().bytes + bytes > max_bytes) shards.push_back({i, {}, 0});
    shards.back().tensors.push_back(tensors[i]);
    shards.back().bytes += bytes;
  }
  return shards;
}

std::string shard_name(std::size_t number, std::size_t count) {
  char name[64];
  std::snprintf(name, sizeof name, "model-%05zu-of-%05zu.safetensors", number, count);
  return name;
}

void write_shard(const fs::path& file, const Shard& shard, const WriteTensor& write) {
  write_safetensors(file, shard.tensors, kMetadata,
                    [&](std::size_t i, const ByteSink& sink) { write(shard.first + i, sink); });
}

void write_weights(const fs::path& folder, const std::vector<TensorInfo>& tensors, const WriteTensor& write,
                   std::uint64_t max_bytes) {
  const std::vector<Shard> shards = split(tensors, max_bytes);
  if (shards.size() == 1) return write_shard(folder / "model.safetensors", shards.front(), write);
  json weight_map = json::object();
  std::uint64_t total = 0;
  for (std::size_t i = 0; i < shards.size(); ++i) {
    const std::string name = shard_name(i + 1, shards.size());
    for (const TensorInfo& tensor : shards[i].tensors) {
      if (weight_map.contains(tensor.name)) throw Error("tensor " + quoted_name(tensor.name) + " is given twice");
      weight_map[tensor.name] = name;
    }
    total += shards[i].bytes;
    write_shard(folder / name, shards[i], write);
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
  const std::vector<TensorInfo> infos(tensors.begin(), tensors.end());
  write_hub_folder(
      folder, config, infos, [&](std::size_t i, const ByteSink& sink) { sink(tensors[i].data); }, options);
}

void write_hub_folder(const fs::path& folder, const ModelConfig& config, const std::vector<TensorInfo>& tensors,
                      const WriteTensor& write, const HubWriteOptions& options) {
  const fs::path target = real_path(folder);  // through links: what is replaced is the folder itself
  require_replaceable(target, options.overwrite);
  std::error_code error;
  fs::create_directories(target.parent_path(), error);
  if (error) throw_file_error("create", target.parent_path(), error.value());

  StagedFolder staged(target);
  write_file_atomically(staged.path() / "config.json",
                        as_bytes(options.native ? config.to_native_json() : hub_config_json(config)));
  write_weights(staged.path(), tensors, write, options.max_shard_bytes);
  if (options.tokenizer_path) {
    write_file_atomically(staged.path() / "tokenizer.json", as_bytes(read_file(*options.tokenizer_path)));
  }
  write_extra_files(staged.path(), options.extra_files);
  sync_folder(staged.path());
  staged.move_to(target, options.overwrite);
}

}  // namespace mformer
