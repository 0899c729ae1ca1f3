#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace mformer {

/// So many bytes of a file's beginning are enough for refuse_stand_in().
inline constexpr std::size_t kStandInBytes = 256;

/// Throws Error when a file that begins like this is what lies in a checkpoint's place when it was not fetched (a Git
/// LFS pointer, a web page) or a weight file of another format than its name says; the hint says what to do.
/// `source` is the path. Otherwise does nothing.
void refuse_stand_in(std::string_view beginning, const std::string& source);

/// The same for a file that is not open: reads its beginning. Does nothing when it can't be read.
void refuse_stand_in_at(const std::string& path);

}  // namespace mformer
