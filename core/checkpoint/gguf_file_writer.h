#pragma once

#include <filesystem>

#include "core/checkpoint/stored_pieces.h"
#include "core/formats/gguf_writer.h"
#include "core/model/model.h"

namespace mformer {

/// Writes a model as a GGUF file, one parameter or expert at a time in memory: `parameter` makes the weights,
/// `metadata` are those of the file but for what counts tensors. Matrices become `type`; vectors and routers stay
/// float32, as llama.cpp has them. Of types with blocks a matrix becomes F16 whose rows are not whole blocks, and of
/// those of 4 bits embedding and head Q8_0. Throws Error where the model has no GGUF form (gguf_metadata),
/// where a number is too large for `type`, and as write_gguf().
void save_gguf_model(const std::filesystem::path& path, const ModelConfig& config, const ByParameter& parameter,
                     const GgufMetadata& metadata, GgufType type);

}  // namespace mformer
