#include "cli/validators.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>

#include "cli/terminal/format.h"
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
  std::optional<double> number = parse<double>(std::string_view(text).substr(0, text.size() - (percent ? 1 : 0)));
  if (!number || *number > 100 || *number <= 0 || (!percent && *number < 2)) return "for 30 % write 0.3";
  const double meant = *number / 100;
  std::string written = terminal::format_fixed(meant, 6);
  written.erase(written.find_last_not_of('0') + 1);
  if (written.ends_with('.')) written.pop_back();
  return "for " + text.substr(0, text.size() - (percent ? 1 : 0)) + " % write " + written;
}

CLI::Validator number_in(std::string type, std::string sentence, std::function<bool(double)> allowed,
                         std::function<std::string(const std::string&)> hint) {
  const auto check = [=](const std::string& text) -> std::string {
    const std::optional<double> number = parse<double>(text);
    if (number && allowed(*number)) return "";
    return with_hint(in_quotes(text) + " is not " + sentence, hint(text));
  };
  return {[check](std::string& text) { return check(text); }, std::move(type)};
}

CLI::Validator integer_from(std::int64_t smallest, std::string type, std::string sentence) {
  return {[=](std::string& text) -> std::string {
            const std::optional<std::int64_t> number = parse<std::int64_t>(text);
            if (number && *number >= smallest) return "";
            return with_hint(in_quotes(text) + " is not " + sentence, "write it in decimal digits, 16 for example");
          },
          std::move(type)};
}

}  // namespace

std::string with_hint(const std::string& sentence, const std::string& hint) {
  return sentence + "\nhint: " + hint;
}

CLI::Validator fraction() {
  return number_in(
      "FRACTION", "a fraction (more than 0, at most 1)", [](double x) { return x > 0 && x <= 1; }, fraction_hint);
}

CLI::Validator share() {
  return number_in(
      "FRACTION", "a share (from 0 to 1)", [](double x) { return x >= 0 && x <= 1; }, fraction_hint);
}

CLI::Validator positive_number() {
  return number_in(
      "NUMBER", "a number above 0", [](double x) { return x > 0; },
      [](const std::string&) { return "write it like 0.5 or 3e-4"; });
}

CLI::Validator non_negative_number() {
  return number_in(
      "NUMBER", "a number of at least 0", [](double x) { return x >= 0; },
      [](const std::string&) { return "write it like 0, 0.5 or 3e-4"; });
}

CLI::Validator positive_integer() {
  return integer_from(1, "COUNT", "a whole number of at least 1");
}

CLI::Validator non_negative_integer() {
  return integer_from(0, "COUNT", "a whole number of at least 0");
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

}  // namespace mformer::cli
