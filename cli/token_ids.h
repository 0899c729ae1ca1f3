#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/text/tokenizer.h"

/// Token ids as text, one text a line.
namespace mformer::cli {

/// "[17,4,2]\n".
std::string as_json_line(std::span<const int32_t> ids);

/// "17 4 2\n".
std::string as_plain_line(std::span<const int32_t> ids);

/// The lines of `text` without their line feeds. A text that ends in one has no empty line after it. The views live as
/// long as `text`.
std::vector<std::string_view> lines_of(std::string_view text);

/// Reads a line in either form; an empty line gives no ids. Throws UsageError, naming the line by `number`, for what is
/// no id, and for ids that the tokenizer does not have.
std::vector<int32_t> known_ids(const Tokenizer& tokenizer, std::string_view line, int64_t number);

}  // namespace mformer::cli
