#include "cli/validators.h"

#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <optional>
#include <string_view>
#include <type_traits>

#include "cli/terminal/text.h"

namespace mformer::cli {
namespace {

// The whole of `text` as a number; nothing when it is none, does not fit, or is not finite. Leading zeros of whole
// numbers are refused: CLI11 would read "010" as octal.
template <typename Number>
std::optional<Number> parse(std::string_view text) {
  Number number{};
  const char* end = text.data() + text.size();
  const auto [stopped, problem] = std::from_chars(text.data(), end, number);
  if (text.empty() || problem != std::errc() || stopped != end) return std::nullopt;
  if constexpr (std::is_floating_point_v<Number>) {
    if (!std::isfinite(number)) return std::nullopt;
  } else if (text.size() > 1 && text.front() == '0') {
    return std::nullopt;
  }
  return number;
}

std::string in_quotes(const std::string& text) {
  return '\'' + terminal::printable(text) + '\'';
}

// "30" and "30%" were meant as percentages.
std::string fraction_hint(const std::string& text) {
  const bool percent = text.ends_with('%');
  const std::string digits = percent ? text.substr(0, text.size() - 1) : text;
  const std::optional<double> number = parse<double>(digits);
  const bool meant_percent = number && *number <= 100 && (percent ? *number > 0 : *number >= 2);
  if (!meant_percent) return "for 30 % write 0.3";
  std::array<char, 32> written{};
  std::to_chars(written.data(), written.data() + written.size() - 1, *number / 100, std::chars_format::general, 6);
  return "for " + digits + " % write " + written.data();
}

CLI::Validator number_in(const std::string& sentence, bool (*allowed)(double), std::string (*hint)(const std::string&),
                         const std::string& type = "X") {
  return {[=](const std::string& text) -> std::string {
            const std::optional<double> number = parse<double>(text);
            if (number && allowed(*number)) return "";
            return with_hint(in_quotes(text) + " is not " + sentence, hint(text));
          },
          type};
}

std::string number_hint(const std::string&) {
  return "write it like 2, 0.5 or 3e-4";
}

CLI::Validator integer_from(std::int64_t smallest) {
  return {[smallest](const std::string& text) -> std::string {
            const std::optional<std::int64_t> number = parse<std::int64_t>(text);
            if (number && *number >= smallest) return "";
            return with_hint(in_quotes(text) + " is not a whole number of at least " + std::to_string(smallest),
                             "write it in decimal digits, 16 for example");
          },
          "N"};
}

}  // namespace

std::string with_hint(const std::string& sentence, const std::string& hint) {
  return sentence + "\nhint: " + hint;
}

CLI::Validator fraction() {
  return number_in(
      "a fraction (more than 0, at most 1)", [](double x) { return x > 0 && x <= 1; }, fraction_hint, "FRACTION");
}

CLI::Validator share() {
  return number_in(
      "a share (from 0 to 1)", [](double x) { return x >= 0 && x <= 1; }, fraction_hint, "FRACTION");
}

CLI::Validator positive_number() {
  return number_in(
      "a number above 0", [](double x) { return x > 0; }, number_hint);
}

CLI::Validator non_negative_number() {
  return number_in(
      "a number of at least 0", [](double x) { return x >= 0; }, number_hint);
}

CLI::Validator positive_integer() {
  return integer_from(1);
}

CLI::Validator non_negative_integer() {
  return integer_from(0);
}

CLI::Validator non_negative_integer_or(const std::string& word) {
  const CLI::Validator integer = non_negative_integer();
  return {[integer, word](std::string& text) -> std::string {
            if (text == word || integer(text).empty()) return "";
            return with_hint(in_quotes(text) + " is neither a whole number of at least 0 nor " + word,
                             "write it in decimal digits, 4 for example, or " + word);
          },
          "N|" + word};
}

CLI::Validator seed_number() {
  return {[](std::string& text) -> std::string {
            const std::optional<std::uint64_t> number = parse<std::uint64_t>(text);
            if (number) return "";
            return with_hint(in_quotes(text) + " is not a whole number from 0 to 18446744073709551615",
                             "any such number will do; the same seed repeats the same run");
          },
          "N"};
}

CLI::Validator device_name() {
  return {[](std::string& text) -> std::string {
            if (text == "cpu" || text == "cuda") return "";
            if (text.starts_with("cuda:") && parse<std::uint8_t>(std::string_view(text).substr(5))) return "";
            return with_hint(in_quotes(text) + " is not a device",
                             "choose cpu, cuda, or cuda:N for one of several GPUs");
          },
          "cpu|cuda[:N]"};
}

CLI::Validator table_format_name() {
  return {[](std::string& text) -> std::string {
            if (text == "csv" || text == "md" || text == "tex") return "";
            return with_hint(in_quotes(text) + " is not a form of tables", "choose csv, md or tex; JSON is --json");
          },
          "csv|md|tex"};
}

CLI::Validator colour_word() {
  return {[](std::string& text) -> std::string {
            if (text == "auto" || text == "always" || text == "never") return "";
            return with_hint(in_quotes(text) + " does not say when there are colours", "choose auto, always or never");
          },
          "auto|always|never"};
}

}  // namespace mformer::cli
