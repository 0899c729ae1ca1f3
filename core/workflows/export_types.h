#pragma once

#include "core/formats/gguf_types.h"
#include "core/workflows/export.h"

namespace mformer {

inline bool is_gguf(const ExportOptions& options) {
  return options.format == "gguf";
}

/// The dtype that the weights of a folder are written in, those aside that are quantised. `stored`: as they are in
/// memory. Throws UsageError for an unknown name.
at::ScalarType exported_dtype(const ExportOptions& options, at::ScalarType stored);

/// Where ExportOptions::format is "gguf": what the matrices become, by `quantize`, or else by `dtype`, or else by the
/// type of the stored weights. Throws UsageError for names that a GGUF file has no type for.
GgufType gguf_type_of(const ExportOptions& options, at::ScalarType stored);

}  // namespace mformer
