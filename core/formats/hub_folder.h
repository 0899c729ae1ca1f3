#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/formats/model_config.h"
#include "core/formats/safetensors.h"

namespace mformer {

/// A checkpoint folder as on the Hugging Face hub, opened for reading. Copies share the mapped files.
class HubFolder {
 public:
  const std::filesystem::path& path() const { return path_; }
  const ModelConfig& config() const { return config_; }

  /// The model.safetensors, or its shards in the order of their names. Empty when pickle_files() is not.
  const std::vector<SafetensorsFile>& shards() const { return shards_; }
  /// `pytorch_model.bin` or its shards, when the folder has no safetensors: the caller decides what to do.
  const std::vector<std::filesystem::path>& pickle_files() const { return pickle_files_; }
  /// Where tokenizer.json is, if there is one.
  const std::optional<std::filesystem::path>& tokenizer_path() const { return tokenizer_path_; }

  /// Names of all tensors, shard by shard, each in file order.
  std::vector<std::string> tensor_names() const;
  /// Null when no shard has it; otherwise valid as long as a copy of this folder lives.
  const TensorView* find(std::string_view name) const;
  /// As find(), but throws Error, with the nearest names as a hint.
  const TensorView& get(std::string_view name) const;

 private:
  friend HubFolder open_hub_folder(const std::filesystem::path& folder);

  std::filesystem::path path_;
  ModelConfig config_;
  std::vector<SafetensorsFile> shards_;
  std::vector<std::filesystem::path> pickle_files_;
  std::optional<std::filesystem::path> tokenizer_path_;
};

/// Opens and checks a folder: config.json, then model.safetensors, or model.safetensors.index.json with every shard it
/// names. Throws Error when the folder, the config or the weights are missing or broken, and when index and shards
/// disagree (a missing file, a tensor in two shards, a listed tensor that is not there, an unlisted one that is).
/// Whether the tensors fit the config is check_parameters()'s question (parameter_layout.h).
HubFolder open_hub_folder(const std::filesystem::path& folder);

struct HubWriteOptions {
  std::uint64_t max_shard_bytes = 5'000'000'000;  ///< Tensor bytes per file; one larger tensor gets a file of its own.
  std::optional<std::filesystem::path> tokenizer_path;  ///< Copied to tokenizer.json.
  std::map<std::string, std::string> extra_files;  ///< Name (no slashes) → contents, e.g. mformer_provenance.json.
  bool overwrite = false;                          ///< Replace an existing, non-empty folder.
};

/// Writes a checkpoint folder, single-file or sharded. Everything goes to a temporary sibling that is flushed and then
/// renamed, so `folder` never holds half a checkpoint. An existing empty folder is replaced; a non-empty one only with
/// `overwrite`. Throws Error, leaving what was there, when the folder exists or anything can't be written.
void write_hub_folder(const std::filesystem::path& folder, const ModelConfig& config,
                      const std::vector<TensorToWrite>& tensors, const HubWriteOptions& options = {});

}  // namespace mformer
