#include "core/text/text_pieces.h"

#include <cstdint>
#include <initializer_list>

namespace mformer {

size_t first_piece(std::string_view text) {
  if (text.size() <= kPieceBytes) return text.size();
  const std::string_view most = text.substr(0, kPieceBytes);
  for (const std::string_view separator : {"\n\n", "\n", " "}) {
    const size_t at = most.rfind(separator);
    if (at != std::string_view::npos && at + separator.size() > kPieceBytes / 2) return at + separator.size();
  }
  // A character has at most three bytes after its first.
  for (size_t length = kPieceBytes; length > kPieceBytes - 4; --length) {
    if ((static_cast<uint8_t>(text[length]) & 0xC0U) != 0x80U) return length;
  }
  return kPieceBytes;
}

}  // namespace mformer
