#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace mformer {

/// The element types that checkpoint files may hold. Others of the safetensors format (float8, unsigned 16 to 64 bits,
/// complex) appear in no ModuleFormer checkpoint and are refused.
enum class DType { F64, F32, F16, BF16, I64, I32, I16, I8, U8, BOOL };

/// Bytes of one element: 8 for F64 down to 1 for BOOL.
std::size_t item_size(DType dtype);

/// The name in a safetensors header: "F32", "BF16", ...
std::string_view dtype_name(DType dtype);

/// The reverse of dtype_name(); nothing for an unknown name. Case matters, as in the format.
std::optional<DType> parse_dtype(std::string_view name);

}  // namespace mformer
