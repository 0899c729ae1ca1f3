#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/formats/gguf_types.h"
#include "core/formats/input_file.h"
#include "core/formats/tensor_info.h"

namespace mformer {

/// A value of the metadata. Whole numbers of all widths are one kind, those of floating point another; a float32 that
/// stands alone is the number whose shortest decimal it was written for (1e-5, not 9.999999747378752e-06).
using GgufValue = std::variant<bool, std::int64_t, double, std::string, std::vector<std::int64_t>, std::vector<double>,
                               std::vector<std::string>>;
using GgufMetadata = std::map<std::string, GgufValue, std::less<>>;

/// "a whole number", "a list of texts", …, for messages.
const char* kind_of(const GgufValue& value);

/// A tensor of the file. The shape is row-major as everywhere here, the reverse of what the file says; the element type
/// is that of dtype_of(type).
struct GgufTensor : TensorInfo {
  GgufType type = GgufType::F32;
  std::uint64_t offset = 0;  ///< Of its first byte in the file.
};

struct GgufHeader {
  GgufMetadata metadata;
  std::vector<GgufTensor> tensors;  ///< In the order of the file, which is that of their data.
};

inline constexpr std::uint32_t kGgufVersion = 3;     ///< Written; 2, which is laid out alike, is read too.
inline constexpr std::uint64_t kGgufAlignment = 32;  ///< Of the tensors' data, where general.alignment is absent.

/// Whether a file that begins like this says that it is GGUF.
bool is_gguf(std::string_view beginning);

/// Reads and checks everything but the tensors' data: magic and version, byte order, every count and length against
/// what is left of the file, keys and names (UTF-8, no name twice), the kinds of values (lists of lists are refused),
/// element types, shapes and their products, whole blocks, and that the tensors lie one after the other, aligned, and
/// within the file. Throws Error, naming the file and the key or tensor.
GgufHeader read_gguf_header(const InputFile& file);

}  // namespace mformer
