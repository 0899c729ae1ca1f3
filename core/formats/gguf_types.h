#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "core/formats/dtype.h"
#include "modules_registry/files.h"

// The element types of GGUF tensors, by the numbers of the format (https://github.com/ggml-org/ggml, docs/gguf.md and
// src/ggml-quants.c). A quantised tensor is a row of blocks, each some numbers of few bits with their scale.
namespace mformer {

/// Those that are read.
enum class GgufType : std::uint32_t {
  F32 = 0,
  F16 = 1,
  Q4_0 = 2,
  Q4_1 = 3,
  Q5_0 = 6,
  Q5_1 = 7,
  Q8_0 = 8,
  Q4_K = 12,
  Q5_K = 13,
  Q6_K = 14,
  BF16 = 30
};

/// Nothing for a type that is not read.
std::optional<GgufType> gguf_type(std::uint32_t number);
/// "Q4_K"; of numbers that the format does not know "number 99".
std::string gguf_type_name(std::uint32_t number);
inline std::string gguf_type_name(GgufType type) {
  return gguf_type_name(static_cast<std::uint32_t>(type));
}

struct GgufBlock {
  std::int64_t elements;
  std::size_t bytes;
};
/// Of F32, F16 and BF16 one element.
GgufBlock gguf_block(GgufType type);

inline bool is_quantised(GgufType type) {
  return gguf_block(type).elements > 1;
}

/// What its elements are once they are read: F32 of the quantised types, else what is stored.
DType dtype_of(GgufType type);

/// The numbers of whole blocks of a quantised type: `to` has room for just these. The products and sums are those of
/// the Python package `gguf` (0.19.0), in float32 and in its order, so that the bits are equal too.
void decode_gguf_blocks(GgufType type, Bytes blocks, std::span<float> to);

/// The reverse for F32, F16, BF16, Q8_0, Q4_0 and Q4_1, with the bits that `gguf` writes: each block by itself, its
/// scale from the number that is furthest from 0 (Q4_1: from the least and the greatest), codes rounded to the nearest.
/// `numbers` are whole blocks, `to` has room for just these. Throws Error for other types.
void encode_gguf_blocks(GgufType type, std::span<const float> numbers, std::span<std::byte> to);

}  // namespace mformer
