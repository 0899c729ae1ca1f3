#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace mformer {

/// A JSON text as far as it could be read.
struct LenientJson {
  nlohmann::json value;  ///< what it says; of a key given twice the last
  std::string problem;   ///< "" when it was read; else what is wrong, half a sentence of at most some tens of bytes
  size_t at = 0;         ///< where in the text, in bytes from its beginning
};

/// Reads one JSON text as programs write it that don't keep to RFC 8259: NaN, Infinity and -Infinity (Python) and
/// numbers beyond float64 count as null; half of a UTF-16 surrogate pair and bytes that are no UTF-8 become U+FFFD. Not
/// read: an object with one key twice, and values nested more than 64 deep, and more than two
/// million values, names and brackets, which would take many times the memory of the text. Never throws for what the
/// text holds, and does not recurse.
LenientJson read_lenient_json(std::string_view text);

}  // namespace mformer
