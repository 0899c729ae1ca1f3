#include "tests/fuzz/mutator.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace mformer::fuzz {
namespace {

constexpr std::uint64_t kNumbers[] = {
    0,     1,          2,          127,        128,        255,        256,         32767,       32768,     65535,
    65536, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 1ULL << 32, 1ULL << 40, ~0ULL >> 1U, 1ULL << 63U, ~0ULL - 7, ~0ULL};
constexpr std::string_view kWrittenNumbers[] = {"0",
                                                "-0",
                                                "-1",
                                                "1e999",
                                                "1e-999",
                                                "0.5",
                                                "4294967296",
                                                "9223372036854775807",
                                                "-9223372036854775808",
                                                "18446744073709551616",
                                                "1e308",
                                                "007",
                                                "99999999999999999999999"};

int hex_digit(char letter) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  const std::size_t found = kDigits.find(static_cast<char>(letter >= 'A' && letter <= 'F' ? letter + 32 : letter));
  return found == std::string_view::npos ? 0 : static_cast<int>(found);
}

bool is_digit(char letter) {
  return letter >= '0' && letter <= '9';
}

}  // namespace

Mutator::Mutator(std::uint64_t seed, std::vector<std::string> inputs, std::vector<std::string> words)
    : random_(seed), inputs_(std::move(inputs)), words_(std::move(words)) {}

std::string Mutator::next(std::size_t longest) {
  std::string text = inputs_[below(inputs_.size())];
  const std::size_t most = std::max(longest, text.size());
  for (std::size_t changes = 1 + below(5); changes > 0; --changes) change(text);
  if (text.size() > most) text.resize(most);
  return text;
}

void Mutator::change(std::string& text) {
  const std::size_t at = below(text.size() + 1);
  switch (below(6)) {
    case 0:
      return change_bytes(text, at);
    case 1:
      return change_number(text, at);
    case 2:
      return change_digits(text);
    case 3:
      if (!words_.empty()) text.insert(at, words_[below(words_.size())]);
      return;
    case 4:
      if (!words_.empty()) {
        const std::string& word = words_[below(words_.size())];
        text.replace(at, word.size(), word);
      }
      return;
    default:
      return insert_piece(text, at);
  }
}

void Mutator::change_bytes(std::string& text, std::size_t at) {
  if (text.empty()) return;
  at = std::min(at, text.size() - 1);
  switch (below(4)) {
    case 0:
      text[at] = static_cast<char>(text[at] ^ (1 << below(8)));
      return;
    case 1:
      text[at] = static_cast<char>(random_());
      return;
    case 2:
      text.erase(at, 1 + below(std::min<std::size_t>(text.size() - at, 64)));
      return;
    default:
      text.insert(at, 1 + below(16), static_cast<char>(random_()));
  }
}

void Mutator::change_number(std::string& text, std::size_t at) {
  std::uint64_t number = kNumbers[below(std::size(kNumbers))];
  const std::size_t bytes = std::size_t{1} << below(4);
  for (std::size_t i = 0; i < bytes && at + i < text.size(); ++i, number >>= 8U)
    text[at + i] = static_cast<char>(number);
}

void Mutator::change_digits(std::string& text) {
  const auto begin =
      std::find_if(text.begin() + static_cast<std::ptrdiff_t>(below(text.size() + 1)), text.end(), is_digit);
  if (begin == text.end()) return;
  const auto end = std::find_if_not(begin, text.end(), is_digit);
  const std::string_view number = kWrittenNumbers[below(std::size(kWrittenNumbers))];
  text.replace(begin, end, number.begin(), number.end());
}

/// A piece of another input or of this one.
void Mutator::insert_piece(std::string& text, std::size_t at) {
  const std::string& from = below(2) == 0 ? text : inputs_[below(inputs_.size())];
  if (from.empty()) return;
  const std::size_t begin = below(from.size());
  const std::string piece = from.substr(begin, 1 + below(std::min<std::size_t>(from.size() - begin, 256)));
  text.replace(at, below(2) == 0 ? 0 : piece.size(), piece);
}

std::vector<std::string> read_dictionary(std::string_view text) {
  std::vector<std::string> words;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    const std::size_t begin = line.find('"'), end = line.rfind('"');
    if (line.starts_with('#') || begin == end) continue;
    std::string& word = words.emplace_back();
    for (std::size_t i = begin + 1; i < end; ++i) {
      if (line[i] != '\\' || i + 1 >= end) {
        word += line[i];
      } else if (line[++i] == 'x' && i + 2 < end) {
        word += static_cast<char>(hex_digit(line[i + 1]) * 16 + hex_digit(line[i + 2]));
        i += 2;
      } else {
        word += line[i];
      }
    }
  }
  return words;
}

}  // namespace mformer::fuzz
