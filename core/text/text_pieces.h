#pragma once

#include <cstddef>
#include <string_view>

namespace mformer {

/// Plain text longer than this is cut: a corpus of a few books then still has documents enough for every split.
inline constexpr size_t kPieceBytes = 64UL << 10U;

/// The length of the first piece of `text`: all of it up to kPieceBytes; else the cut that leaves at most kPieceBytes,
/// at the last paragraph end (empty line) of the second half, or else the last line end, space, or UTF-8 character
/// there.
size_t first_piece(std::string_view text);

}  // namespace mformer
