#pragma once

#include <oniguruma.h>

namespace mformer {

/// Oniguruma's UTF-8 with the character tables of the `tokenizers` package: Unicode 16 where Debian's library knows 14
/// (unicode_differences.h), and [[:punct:]] with symbols in it. Initialises the library on first use; any thread.
OnigEncodingType* oniguruma_encoding();

}  // namespace mformer
