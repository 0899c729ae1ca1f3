#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/formats/gguf_header.h"
#include "core/formats/safetensors.h"

namespace mformer {

/// A tensor that is to be written; the shape is row-major. Rows must be whole blocks of the type.
struct GgufTensorInfo {
  std::string name;
  std::vector<std::int64_t> shape;
  GgufType type = GgufType::F32;
};

/// Bytes of the tensor in a file.
std::uint64_t gguf_bytes(const GgufTensorInfo& tensor);

/// Writes a GGUF file, version 3, whole or not at all: `path` holds either its old contents or all of the new ones.
/// Whole numbers become u32 (in lists i32), numbers float32. `write` hands over the bytes of a tensor when it is its
/// turn, in the order given. Throws Error for a whole number that does not fit, for names that are given twice, where
/// `write` gives another number of bytes, and when writing fails.
void write_gguf(const std::filesystem::path& path, const GgufMetadata& metadata,
                const std::vector<GgufTensorInfo>& tensors, const WriteTensor& write);

}  // namespace mformer
