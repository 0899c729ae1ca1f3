#pragma once

#include <string>
#include <vector>

#include "core/families/family.h"
#include "core/formats/gguf_file.h"

// Models of the families in GGUF files: the metadata stand for a config.json, the tensors have names of their own.
namespace mformer {

/// The config that the files' metadata and tensors stand for, as read_hub_config() gives it, with the chat template. Throws Error, naming the
/// first of the files, for architectures and values that mformer does not compute.
HubConfig read_gguf_config(const std::vector<GgufFile>& files, const ReadOptions& options = {});

/// The names of tensors in GGUF files, as a layout: it follows from that of the config's family, which has a GGUF form.
const Family& gguf_layout();

/// The metadata of a GGUF file of such a model, chat template included, without those of its tokenizer. Throws Error, saying why, where the
/// family can't hold the model any more (hub_config_json) or llama.cpp would not compute it as it is.
GgufMetadata gguf_metadata(const ModelConfig& config);

/// GGUF keeps the rows of queries and keys of some families in another order: in each group of as many rows as a head
/// has, row i of the first half stands at 2 · i and that of the second at 2 · i + 1. The rows of such a group for the
/// tensor of this name, 0 for all other tensors.
std::int64_t gguf_interleaved_rows(const ModelConfig& config, std::string_view tensor);

}  // namespace mformer
