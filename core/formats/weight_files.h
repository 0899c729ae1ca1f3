#pragma once

#include <filesystem>
#include <vector>

#include "core/formats/gguf_file.h"
#include "core/formats/safetensors.h"
#include "core/formats/torch_file.h"

namespace mformer {

/// The files that hold a checkpoint's weights: all of one format.
struct WeightFiles {
  std::vector<SafetensorsFile> safetensors;  ///< In the order of their names.
  std::vector<TorchFile> pickles;            ///< Empty when there are safetensors.
  std::vector<GgufFile> gguf;                ///< Of a model that is no folder but a GGUF file: nothing else.
};

/// Opens the weights of a checkpoint folder: `model.safetensors`, or the shards that `model.safetensors.index.json`
/// names; where there is neither, `pytorch_model.bin`, or the shards that `pytorch_model.bin.index.json` names, or
/// `pytorch_model-00001-of-0000N.bin` … without an index. Only what the index names is read, whatever lies beside it.
///
/// Throws Error when there are no weights; when a shard is missing, a tensor lies in two shards, a listed tensor is not
/// there or an unlisted one is; when the single file and all shards of an index are there, so that nobody knows which
/// are meant; and when numbered shards without an index are not one whole set.
WeightFiles open_weight_files(const std::filesystem::path& folder);

}  // namespace mformer
