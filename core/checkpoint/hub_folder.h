#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/families/family.h"
#include "core/formats/model_config.h"
#include "core/formats/weight_files.h"
#include "core/formats/weight_names.h"

namespace mformer {

/// A checkpoint folder as on the Hugging Face hub, or a GGUF file, opened for reading. Copies share the open files.
class HubFolder {
 public:
  const std::filesystem::path& path() const { return path_; }
  const ModelConfig& config() const { return config_; }
  /// How its tensors are named: the config's family, or mformer's own layout.
  const Family& layout() const { return *layout_; }

  /// Where the weights are: safetensors, or else pickles (weight_files.h).
  const WeightFiles& files() const { return files_; }
  /// Where tokenizer.json is, or else tokenizer.model, if there is one; the GGUF file itself where it holds one.
  const std::optional<std::filesystem::path>& tokenizer_path() const { return tokenizer_path_; }

  /// Names of all stored tensors, file by file, each in file order, without the prefix of a wrapper (weight_names.h).
  const std::vector<std::string>& tensor_names() const { return names_; }
  /// What the file says about a tensor, which may also be one that is stored under another name that it shares: the
  /// embedding of a tied model under the head's, or what the metadata of a safetensors file says. Null when no file has
  /// it; otherwise valid as long as a copy of this folder lives.
  const TensorInfo* info(std::string_view name) const;
  /// The same for folders of safetensors; null for all tensors of others.
  const TensorView* find(std::string_view name) const;
  /// As find(), but throws Error, with the nearest names as a hint.
  const TensorView& get(std::string_view name) const;

  struct StoredPickle {
    const TorchFile* file = nullptr;
    const PickledTensor* tensor = nullptr;
  };
  /// The same for folders of pickles; nulls for all tensors of others.
  StoredPickle find_pickled(std::string_view name) const;

  struct StoredGguf {
    const GgufFile* file = nullptr;
    const GgufTensor* tensor = nullptr;
  };
  /// The same for GGUF files; nulls for all tensors of folders.
  StoredGguf find_gguf(std::string_view name) const;
  /// The GGUF file, of several the one with the metadata; null for folders.
  const GgufFile* gguf() const { return files_.gguf.empty() ? nullptr : files_.gguf.data(); }
  /// What says of which shapes the tensors are, for messages.
  const char* config_name() const { return gguf() == nullptr ? "config.json" : "the metadata"; }

 private:
  friend HubFolder open_hub_folder(const std::filesystem::path& folder, const ReadOptions& options);
  static HubFolder open_gguf(const std::filesystem::path& file, const ReadOptions& options);
  void name_tensors();
  void add_shared(const WeightNames& names);

  std::filesystem::path path_;
  ModelConfig config_;
  const Family* layout_ = nullptr;
  WeightFiles files_;
  std::vector<std::string> names_;
  std::map<std::string, std::string, std::less<>> stored_as_;  ///< A parameter's own name → its name in the file.
  std::optional<std::filesystem::path> tokenizer_path_;
};

/// Opens and checks a folder: config.json, with the chat template of the files beside it (chat_format.h), then the
/// weights as open_weight_files() does. Throws Error when the folder, the config or the weights are missing or broken,
/// or are a Git LFS pointer or a web page (stand_in.h). Whether the tensors fit the config is check_parameters()'s
/// question (parameter_layout.h). A GGUF file stands for a folder, by its own path or by that of a folder that
/// has no config.json and holds the files of one GGUF model.
HubFolder open_hub_folder(const std::filesystem::path& folder, const ReadOptions& options = {});

struct HubWriteOptions {
  std::uint64_t max_shard_bytes = 5'000'000'000;  ///< Tensor bytes per file; one larger tensor gets a file of its own.
  std::optional<std::filesystem::path> tokenizer_path;  ///< Copied to tokenizer.json.
  std::map<std::string, std::string> extra_files;  ///< Name (no slashes) → contents, e.g. mformer_provenance.json.
  bool native = false;     ///< In mformer's own layout, which holds any model, instead of the family's.
  bool overwrite = false;  ///< Replace an export: a folder that was written with mformer_provenance.json, unchanged.
};

/// Writes a checkpoint folder, single-file or sharded. Everything goes to a temporary sibling that is flushed and then
/// renamed, so `folder` never holds half a checkpoint (staged_folder.h). An existing empty folder is replaced; one with
/// files in it only with `overwrite`, and only if they are those of an export. Throws Error, leaving what was there,
/// for any other folder, when anything can't be written or made to last, and where the family has no such models
/// (hub_config_json).
void write_hub_folder(const std::filesystem::path& folder, const ModelConfig& config,
                      const std::vector<TensorToWrite>& tensors, const HubWriteOptions& options = {});

/// The same for tensors whose bytes are made when it is their turn.
void write_hub_folder(const std::filesystem::path& folder, const ModelConfig& config,
                      const std::vector<TensorInfo>& tensors, const WriteTensor& write,
                      const HubWriteOptions& options = {});

}  // namespace mformer
