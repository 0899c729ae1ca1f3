#pragma once

#include <optional>

#include "core/checkpoint/stored_pieces.h"
#include "core/formats/gguf_types.h"
#include "core/workflows/export.h"
#include "core/workspace/version_store.h"

namespace mformer {

/// Throws Error unless the file may be written without a loss: nothing is there, or, with `overwrite`, a GGUF file that
/// export_gguf() wrote.
void require_gguf_target(const std::filesystem::path& file, bool overwrite);

/// Throws Error, saying why, where llama.cpp can't run the model.
void require_gguf_model(const Model& model);

/// Writes one hypothesis, or a model without domains, as a GGUF file with its tokenizer and the provenance of its
/// modules. `loaded` has the shapes, `parameter` makes the weights as float32. Throws Error as save_gguf_model() and
/// put_gguf_tokenizer() do, and as require_gguf_model().
void export_gguf(const Registry& registry, const VersionRecord& version, const LoadedVersion& loaded,
                 const ByParameter& parameter, const ExportOptions& options, GgufType type);

}  // namespace mformer
