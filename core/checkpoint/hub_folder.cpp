#include "core/checkpoint/hub_folder.h"

#include <optional>
#include <regex>
#include <utility>

#include "core/families/gguf_model.h"
#include "core/formats/chat_format.h"
#include "core/formats/generation_config.h"
#include "core/formats/input_file.h"
#include "core/formats/quoted_name.h"
#include "core/formats/stand_in.h"
#include "modules_registry/error.h"
#include "modules_registry/files.h"
#include "modules_registry/suggest.h"

namespace mformer {
namespace {

namespace fs = std::filesystem;

bool is_file(const fs::path& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored);
}

void check_folder(const fs::path& folder) {
  std::error_code error;
  if (fs::is_directory(folder, error)) return;
  const std::string hint = "name a folder with config.json and model.safetensors, or a .gguf file";
  throw Error("'" + folder.string() + (fs::exists(folder, error) ? "' is not a folder" : "' does not exist"), hint);
}

// With what generation_config.json beside it says about the end of a text.
HubConfig read_config(const fs::path& path, const ReadOptions& options) {
  refuse_stand_in_at(path.string());
  HubConfig read = read_hub_config(read_bounded_file(path, kMostJsonBytes, "a config"), path.string(), options);
  const fs::path generation = path.parent_path() / "generation_config.json";
  if (!is_file(generation)) return read;
  refuse_stand_in_at(generation.string());
  take_generation_config(read.config, read_bounded_file(generation, kMostJsonBytes, "a config"), !read.names_end_tokens,
                         generation.string());
  return read;
}

/// The one GGUF model in the folder, by its first file; nothing where there is none.
std::optional<fs::path> gguf_file_in(const fs::path& folder) {
  static const std::regex kLaterPart(R"(.*-(?!00001)\d{5}-of-\d{5}\.gguf)");
  std::optional<fs::path> found;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (entry.path().extension() != ".gguf" || !is_file(entry.path()) || std::regex_match(name, kLaterPart)) continue;
    if (found) {
      throw Error("'" + folder.string() + "' holds several GGUF models: " + quoted_name(found->filename().string()) +
                      " and " + quoted_name(name),
                  "name the file that is meant");
    }
    found = entry.path();
  }
  return found;
}

}  // namespace

HubFolder HubFolder::open_gguf(const fs::path& file, const ReadOptions& options) {
  HubFolder opened;
  opened.path_ = file;
  opened.files_.gguf = open_gguf_files(file);
  HubConfig read = read_gguf_config(opened.files_.gguf, options);
  opened.config_ = std::move(read.config);
  opened.layout_ = read.layout;
  if (has_gguf_tokenizer(opened.gguf()->metadata())) opened.tokenizer_path_ = file;
  for (const GgufFile& part : opened.files_.gguf) {
    for (const GgufTensor& tensor : part.tensors()) opened.names_.push_back(tensor.name);
  }
  return opened;
}

HubFolder open_hub_folder(const fs::path& folder, const ReadOptions& options) {
  if (is_gguf_path(folder)) return HubFolder::open_gguf(folder, options);
  check_folder(folder);
  const fs::path config_path = folder / "config.json";
  if (!is_file(config_path)) {
    if (const auto file = gguf_file_in(folder)) return HubFolder::open_gguf(*file, options);
    throw Error("'" + folder.string() + "' has no config.json", "name a folder with config.json and model.safetensors");
  }
  HubFolder opened;
  opened.path_ = folder;
  HubConfig read = read_config(config_path, options);
  opened.config_ = std::move(read.config);
  opened.layout_ = read.layout;
  for (const char* name : {"tokenizer.json", "tokenizer.model"}) {
    if (opened.tokenizer_path_ || !is_file(folder / name)) continue;
    opened.tokenizer_path_ = folder / name;
    refuse_stand_in_at(opened.tokenizer_path_->string());
  }
  set_chat_format(opened.config_, read_chat_format(folder), quoted_name(folder.string()));
  opened.files_ = open_weight_files(folder);
  opened.name_tensors();
  return opened;
}

void HubFolder::name_tensors() {
  std::vector<std::string> stored;
  for (const SafetensorsFile& file : files_.safetensors) {
    for (const TensorInfo& tensor : file.tensors()) stored.push_back(tensor.name);
  }
  for (const TorchFile& file : files_.pickles) {
    for (const TensorInfo& tensor : file.tensors()) stored.push_back(tensor.name);
  }
  const WeightNames names(stored, {layout_->embedding, layout_->head});
  for (const std::string& name : stored) {
    names_.push_back(names.unwrapped(name));
    if (!stored_as_.emplace(names_.back(), name).second) {
      throw Error("'" + path_.string() + "' holds the tensor " + quoted_name(names_.back()) +
                      " twice: with and without the prefix of a wrapper",
                  "keep one of them");
    }
  }
  add_shared(names);
}

// A tensor that has two names in the model is often stored under one.
void HubFolder::add_shared(const WeightNames& names) {
  const auto share = [this](const std::string& missing, const std::string& kept) {
    if (stored_as_.contains(missing) || !stored_as_.contains(kept)) return;
    stored_as_.emplace(missing, stored_as_.at(kept));
  };
  if (config_.tie_word_embeddings) share(std::string(layout_->embedding), std::string(layout_->head));
  for (const SafetensorsFile& file : files_.safetensors) {
    // safetensors.torch.save_model notes it: {"the name left out": "the name kept"}.
    for (const auto& [missing, kept] : file.metadata()) share(names.unwrapped(missing), names.unwrapped(kept));
  }
}

const TensorInfo* HubFolder::info(std::string_view name) const {
  if (const TensorView* tensor = find(name)) return tensor;
  if (const StoredPickle tensor = find_pickled(name); tensor.tensor != nullptr) return tensor.tensor;
  return find_gguf(name).tensor;
}

const TensorView* HubFolder::find(std::string_view name) const {
  const auto stored = stored_as_.find(name);
  if (stored == stored_as_.end()) return nullptr;
  for (const SafetensorsFile& file : files_.safetensors) {
    if (const TensorView* tensor = file.find(stored->second)) return tensor;
  }
  return nullptr;
}

HubFolder::StoredGguf HubFolder::find_gguf(std::string_view name) const {
  for (const GgufFile& file : files_.gguf) {
    if (const GgufTensor* tensor = file.find(name)) return {&file, tensor};
  }
  return {};
}

HubFolder::StoredPickle HubFolder::find_pickled(std::string_view name) const {
  const auto stored = stored_as_.find(name);
  if (stored == stored_as_.end()) return {};
  for (const TorchFile& file : files_.pickles) {
    if (const PickledTensor* tensor = file.find(stored->second)) return {&file, tensor};
  }
  return {};
}

const TensorView& HubFolder::get(std::string_view name) const {
  if (const TensorView* tensor = find(name)) return *tensor;
  throw Error("'" + path_.string() + "' has no tensor " + quoted_name(name),
              suggestion_hint(name, tensor_names(), "tensors", "the checkpoint holds no tensors"));
}

}  // namespace mformer
