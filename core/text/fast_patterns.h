#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace mformer {

/// GPT-2's words: contractions, then letters, numbers or other signs with at most one space before them, then spaces.
inline constexpr std::string_view kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

/// Llama 3's words: numbers in groups of three.
inline constexpr std::string_view kLlama3Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*)"
    R"(|\s*[\r\n]+|\s+(?!\S)|\s+)";

/// Qwen 2's: each digit by itself.
inline constexpr std::string_view kQwen2Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*)"
    R"(|\s*[\r\n]+|\s+(?!\S)|\s+)";

/// One of the three patterns above as PCRE2 has to be given it, with the characters that PCRE2 of Debian 12 (Unicode
/// 14, U+180E a space) lacks written out; nothing for every other pattern. That both engines cut any text alike with
/// these is a test, so a pattern is added here only together with it.
std::optional<std::string> fast_pcre2_pattern(std::string_view pattern);

}  // namespace mformer
