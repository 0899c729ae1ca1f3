#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>

namespace mformer {

/// GPT-2 writes each byte as a printable letter, so that a vocabulary is readable text: "Ġthe" is " the". Bytes that
/// are printable in Latin-1 stand for themselves; the other 68 get U+0100, U+0101, … in order. UTF-8 form of each.
const std::array<std::string, 256>& byte_letters();

/// `bytes` in those letters.
std::string to_byte_letters(std::string_view bytes);

/// The bytes behind `token`, or nothing when one of its characters is no byte letter (added tokens may be like that).
std::optional<std::string> from_byte_letters(std::string_view token);

}  // namespace mformer
