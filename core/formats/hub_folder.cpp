#include "core/formats/hub_folder.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "core/formats/quoted_name.h"
#include "modules_registry/error.h"
#include "modules_registry/files.h"
#include "modules_registry/suggest.h"

namespace mformer {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

bool is_file(const fs::path& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored);
}

// An index: shard file name → the tensors it should hold.
using WeightMap = std::map<std::string, std::set<std::string>>;

WeightMap read_index(const fs::path& path) {
  const json index = json::parse(read_file(path), nullptr, false);
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
void check_shard(const SafetensorsFile& shard, const std::string& file, const std::set<std::string>& promised,
                 std::map<std::string, std::string>& owners) {
  for (const TensorView& tensor : shard.tensors()) {
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
  for (const TensorView& tensor : shard.tensors()) {
    if (!promised.contains(tensor.name)) {
      throw Error(
          shard.source() + ": tensor " + quoted_name(tensor.name) + " is not listed for this shard in the index",
          "fetch or export the checkpoint again");
    }
  }
}

std::vector<SafetensorsFile> open_shards(const fs::path& index_path) {
  const WeightMap index = read_index(index_path);
  const fs::path folder = index_path.parent_path();
  for (const auto& [file, promised] : index) {
    if (!is_file(folder / file)) {
      throw Error(index_path.string() + " names the shard " + quoted_name(file) + ", which is not there",
                  "fetch the missing file, or the whole checkpoint again");
    }
  }
  std::vector<SafetensorsFile> shards;
  std::map<std::string, std::string> owners;
  for (const auto& [file, promised] : index) {
    shards.push_back(SafetensorsFile::open(folder / file));
    check_shard(shards.back(), file, promised, owners);
  }
  return shards;
}

std::vector<fs::path> find_pickles(const fs::path& folder) {
  const fs::path single = folder / "pytorch_model.bin";
  if (is_file(single)) return {single};
  std::vector<fs::path> files;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with("pytorch_model-") && name.ends_with(".bin") && is_file(entry.path())) {
      files.push_back(entry.path());
    }
  }
  std::sort(files.begin(), files.end());
  return files;
}

void check_folder(const fs::path& folder) {
  std::error_code error;
  if (fs::is_directory(folder, error)) return;
  const std::string hint = "name a folder with config.json and model.safetensors";
  throw Error("'" + folder.string() + (fs::exists(folder, error) ? "' is not a folder" : "' does not exist"), hint);
}

}  // namespace

HubFolder open_hub_folder(const fs::path& folder) {
  check_folder(folder);
  const fs::path config_path = folder / "config.json";
  if (!is_file(config_path)) {
    throw Error("'" + folder.string() + "' has no config.json", "name a folder with config.json and model.safetensors");
  }
  HubFolder opened;
  opened.path_ = folder;
  opened.config_ = ModelConfig::from_json(read_file(config_path), config_path.string());
  if (is_file(folder / "tokenizer.json")) opened.tokenizer_path_ = folder / "tokenizer.json";

  if (is_file(folder / "model.safetensors")) {
    opened.shards_.push_back(SafetensorsFile::open(folder / "model.safetensors"));
  } else if (is_file(folder / "model.safetensors.index.json")) {
    opened.shards_ = open_shards(folder / "model.safetensors.index.json");
  } else {
    opened.pickle_files_ = find_pickles(folder);
    if (opened.pickle_files_.empty()) {
      throw Error("'" + folder.string() + "' has no weights",
                  "model.safetensors, or model.safetensors.index.json with its shards, must lie beside config.json");
    }
  }
  return opened;
}

std::vector<std::string> HubFolder::tensor_names() const {
  std::vector<std::string> names;
  for (const SafetensorsFile& shard : shards_) {
    for (const TensorView& tensor : shard.tensors()) names.push_back(tensor.name);
  }
  return names;
}

const TensorView* HubFolder::find(std::string_view name) const {
  for (const SafetensorsFile& shard : shards_) {
    if (const TensorView* tensor = shard.find(name)) return tensor;
  }
  return nullptr;
}

const TensorView& HubFolder::get(std::string_view name) const {
  if (const TensorView* tensor = find(name)) return *tensor;
  throw Error("'" + path_.string() + "' has no tensor " + quoted_name(name),
              suggestion_hint(name, tensor_names(), "tensors", "the checkpoint holds no tensors"));
}

}  // namespace mformer
