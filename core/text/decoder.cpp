#include "core/text/decoder.h"

#include <charconv>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

#include "core/text/byte_level.h"
#include "core/text/utf8.h"

namespace mformer {
namespace {

std::string joined(const std::vector<std::string>& tokens) {
  std::string all;
  for (const std::string& token : tokens) all += token;
  return all;
}

/// Replaces in what of `text` is well-formed.
std::string replaced(const Normalizer& replace, std::string_view text, Regex::Scratch& scratch) {
  std::string out, memory;
  while (!text.empty()) {
    const size_t valid = utf8_valid_prefix(text);
    if (valid > 0) out += replace.apply(text.substr(0, valid), TextPlace::at_start, memory, scratch);
    if (valid == text.size()) break;
    out += text[valid];
    text.remove_prefix(valid + 1);
  }
  return out;
}

/// The byte that a token names, by the package's rules: two hexadecimal digits, or a plus and one.
std::optional<char> byte_of(std::string_view token) {
  if (token.size() != 6 || !token.starts_with("<0x") || !token.ends_with('>')) return std::nullopt;
  std::string_view digits = token.substr(3, 2);
  if (digits.front() == '+') digits.remove_prefix(1);
  uint8_t byte = 0;
  const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), byte, 16);
  if (read.ec != std::errc() || read.ptr != digits.data() + digits.size()) return std::nullopt;
  return static_cast<char>(byte);
}

/// The bytes of neighbouring tokens make one.
std::vector<std::string> with_bytes(std::vector<std::string> tokens) {
  std::vector<std::string> out;
  bool in_run = false;
  for (std::string& token : tokens) {
    const auto byte = byte_of(token);
    if (!byte) {
      out.push_back(std::move(token));
    } else if (in_run) {
      out.back() += *byte;
    } else {
      out.emplace_back(1, *byte);
    }
    in_run = byte.has_value();
  }
  return out;
}

void strip_start(std::string& text, std::string_view character, size_t most) {
  size_t begin = 0;
  for (size_t taken = 0; taken < most && std::string_view(text).substr(begin).starts_with(character); ++taken) {
    begin += character.size();
  }
  text.erase(0, begin);
}

std::string with_spaces(std::string_view token, std::string_view mark, std::string_view instead) {
  std::string out;
  for (size_t at = 0; at < token.size();) {
    if (token.substr(at).starts_with(mark)) {
      out += instead;
      at += mark.size();
    } else {
      out += token[at++];
    }
  }
  return out;
}

}  // namespace

void Decoder::add_byte_level() {
  if (preparing()) {
    byte_level_ = joins_ = true;
  } else {
    steps_.emplace_back([](Tokens& tokens, bool, Regex::Scratch&) {
      std::string all;
      for (const std::string& token : tokens) all += from_byte_letters(token).value_or(token);
      tokens = {std::move(all)};
    });
  }
  fused_ = true;
}

void Decoder::add_replace(Normalizer replace) {
  if (preparing() && replace_.empty()) {
    replace_ = std::move(replace);
    return;
  }
  steps_.emplace_back([replace = std::move(replace)](Tokens& tokens, bool, Regex::Scratch& scratch) {
    for (std::string& token : tokens) token = replaced(replace, token, scratch);
  });
}

void Decoder::add_byte_fallback() {
  steps_.emplace_back([](Tokens& tokens, bool, Regex::Scratch&) { tokens = with_bytes(std::move(tokens)); });
}

void Decoder::add_fuse() {
  if (preparing()) {
    joins_ = true;
  } else {
    steps_.emplace_back([](Tokens& tokens, bool, Regex::Scratch&) { tokens = {joined(tokens)}; });
  }
  fused_ = true;
}

void Decoder::add_strip(std::string character, size_t most) {
  steps_.emplace_back(
      [character = std::move(character), most, whole = fused_](Tokens& tokens, bool continues, Regex::Scratch&) {
        if (whole && continues) return;
        for (std::string& token : tokens) strip_start(token, character, most);
      });
}

void Decoder::add_metaspace(std::string mark, bool strips_first) {
  steps_.emplace_back([mark = std::move(mark), strips_first](Tokens& tokens, bool continues, Regex::Scratch&) {
    bool first = strips_first && !continues;
    for (std::string& token : tokens) token = with_spaces(token, mark, std::exchange(first, false) ? "" : " ");
  });
}

std::string Decoder::prepare(const std::string& token, Regex::Scratch& scratch) const {
  std::string memory;
  std::string out(replace_.apply(token, TextPlace::at_start, memory, scratch));
  return byte_level_ ? from_byte_letters(out).value_or(out) : out;
}

std::string Decoder::decode(std::vector<std::string> tokens, bool continues, Regex::Scratch& scratch) const {
  if (spaced_) {
    std::string out;
    for (const std::string& token : tokens) {
      if (continues || &token != tokens.data()) out += ' ';
      out += token;
    }
    return out;
  }
  if (joins_) tokens = {joined(tokens)};
  for (const Step& step : steps_) step(tokens, continues, scratch);
  return joined(tokens);
}

}  // namespace mformer
