#include "core/formats/weight_files.h"

#include <algorithm>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "core/formats/input_file.h"
#include "core/formats/quoted_name.h"
#include "core/formats/stand_in.h"
#include "modules_registry/error.h"
#include "modules_registry/json_depth.h"

namespace mformer {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

bool is_weight_file(const fs::path& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored);
}

// An index: shard file name → the tensors it should hold.
using WeightMap = std::map<std::string, std::set<std::string>>;

WeightMap read_index(const fs::path& path) {
  refuse_stand_in_at(path.string());
  const std::string text = read_bounded_file(path, kMostIndexBytes, "an index");
  constexpr int kMostLevels = 64;
  const json index = json_deeper_than(text, kMostLevels) ? json() : json::parse(text, nullptr, false);
  const std::string where = path.string();
  if (!index.is_object() || !index.contains("weight_map") || !index["weight_map"].is_object()) {
    throw Error(where + ": not a JSON object with a 'weight_map'", "fetch or export the checkpoint again");
  }
  WeightMap shards;
  for (const auto& [tensor, file] : index["weight_map"].items()) {
    if (!file.is_string()) throw Error(where + ": the file of tensor " + quoted_name(tensor) + " is not a string");
    const auto& name = file.get_ref<const std::string&>();
    if (name.empty() || name == "." || name == ".." || name.find_first_of(std::string("/\0", 2)) != std::string::npos) {
      throw Error(
          where + ": tensor " + quoted_name(tensor) + " names the file " + quoted_name(name) + ", outside the folder",
          "shards lie beside their index");
    }
    shards[name].insert(tensor);
  }
  if (shards.empty()) throw Error(where + ": the 'weight_map' is empty", "fetch or export the checkpoint again");
  return shards;
}

// The shard must hold exactly the tensors that the index promises; `owners` collects where each one was seen.
template <typename File>
void check_shard(const File& shard, const std::string& file, const std::set<std::string>& promised,
                 std::map<std::string, std::string>& owners) {
  for (const TensorInfo& tensor : shard.tensors()) {
    const auto [owner, is_new] = owners.emplace(tensor.name, file);
    if (!is_new) {
      throw Error(shard.source() + ": tensor " + quoted_name(tensor.name) + " is also in " + owner->second,
                  "each tensor belongs to one shard: fetch or export the checkpoint again");
    }
  }
  for (const std::string& name : promised) {
    if (shard.find(name) == nullptr) {
      throw Error(shard.source() + ": tensor " + quoted_name(name) + " is in the index but not in this shard",
                  "fetch or export the checkpoint again");
    }
  }
  for (const TensorInfo& tensor : shard.tensors()) {
    if (!promised.contains(tensor.name)) {
      throw Error(
          shard.source() + ": tensor " + quoted_name(tensor.name) + " is not listed for this shard in the index",
          "fetch or export the checkpoint again");
    }
  }
}

template <typename File>
std::vector<File> open_shards(const fs::path& index_path, const WeightMap& index) {
  const fs::path folder = index_path.parent_path();
  for (const auto& [file, promised] : index) {
    if (!is_weight_file(folder / file)) {
      throw Error(index_path.string() + " names the shard " + quoted_name(file) + ", which is not there",
                  "fetch the missing file, or the whole checkpoint again");
    }
  }
  std::vector<File> shards;
  std::map<std::string, std::string> owners;
  for (const auto& [file, promised] : index) {
    shards.push_back(File::open(folder / file));
    check_shard(shards.back(), file, promised, owners);
  }
  return shards;
}

// True when the single file is meant although there is an index: then shards of the index are missing.
bool single_is_meant(const fs::path& single, const fs::path& index_path, const WeightMap& index) {
  if (!is_weight_file(single)) return false;
  const std::string name = single.filename().string();
  if (index.size() == 1 && index.contains(name)) return false;  // the index is about this very file
  const fs::path folder = single.parent_path();
  const bool complete =
      std::all_of(index.begin(), index.end(), [&](const auto& shard) { return is_weight_file(folder / shard.first); });
  if (!complete) return true;
  throw Error("'" + folder.string() + "' holds two sets of weights: '" + name + "' and the shards of '" +
                  index_path.filename().string() + "'",
              "move away the one that an older save left");
}

template <typename File>
std::vector<File> open_set(const fs::path& folder, const std::string& single_name) {
  const fs::path single = folder / single_name, index_path = folder / (single_name + ".index.json");
  if (is_weight_file(index_path)) {
    const WeightMap index = read_index(index_path);
    if (!single_is_meant(single, index_path, index)) return open_shards<File>(index_path, index);
  }
  if (is_weight_file(single)) return {File::open(single)};
  return {};
}

// "pytorch_model-00001-of-00003.bin" and so on, without an index: one whole set, or they do not belong together.
std::vector<TorchFile> open_numbered(const fs::path& folder) {
  std::set<std::string> found;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with("pytorch_model-") && name.ends_with(".bin") && is_weight_file(entry.path()))
      found.insert(name);
  }
  std::vector<TorchFile> shards;
  std::map<std::string, std::string> owners;
  for (const std::string& name : found) {
    char expected[64];
    std::snprintf(expected, sizeof expected, "pytorch_model-%05zu-of-%05zu.bin", shards.size() + 1, found.size());
    if (name != expected) {
      throw Error("'" + folder.string() + "' holds the shard " + quoted_name(name) + " where '" + expected +
                      "' should be, and no pytorch_model.bin.index.json says which belong together",
                  "fetch the index too, and what is missing");
    }
    shards.push_back(TorchFile::open(folder / name));
    std::set<std::string> all;
    for (const TensorInfo& tensor : shards.back().tensors()) all.insert(tensor.name);
    check_shard(shards.back(), name, all, owners);
  }
  return shards;
}

}  // namespace

WeightFiles open_weight_files(const fs::path& folder) {
  WeightFiles files;
  files.safetensors = open_set<SafetensorsFile>(folder, "model.safetensors");
  if (!files.safetensors.empty()) return files;
  files.pickles = open_set<TorchFile>(folder, "pytorch_model.bin");
  if (files.pickles.empty()) files.pickles = open_numbered(folder);
  if (files.pickles.empty()) {
    throw Error("'" + folder.string() + "' has no weights",
                "model.safetensors, or model.safetensors.index.json with its shards, must lie beside config.json");
  }
  return files;
}

}  // namespace mformer
