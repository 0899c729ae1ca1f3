#include "cli/terminal/format.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <span>

namespace mformer::terminal {
namespace {

constexpr const char* not_a_number = "n/a";

// std::to_chars never looks at the locale, unlike printf.
std::string fixed(double value, int decimals) {
  std::array<char, 400> buffer{};  // the largest double has 309 digits before the point
  const auto end =
      std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, std::chars_format::fixed, decimals);
  return {buffer.data(), end.ptr};
}

std::string significant(double value, int digits) {
  std::array<char, 64> buffer{};
  const auto end =
      std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, std::chars_format::general, digits);
  return {buffer.data(), end.ptr};
}

// What is left of the sign when every digit shown is zero: "-0.0000" would read as a loss.
bool shows_only_zeros(const std::string& digits) {
  return digits.find_first_of("123456789") == std::string::npos;
}

struct Scaled {
  double value;
  const char* prefix;
};

// Divides by 1000 until three digits are enough; `limit` is where rounding to three digits would need a fourth.
Scaled scaled(double value, std::span<const char* const> prefixes, double limit) {
  size_t step = 0;
  while (std::abs(value) >= limit && step + 1 < prefixes.size()) {
    value /= 1000;
    ++step;
  }
  return {value, prefixes[step]};
}

std::string two_units(long long large, const char* large_unit, long long small, const char* small_unit) {
  std::string text = std::to_string(large) + large_unit;
  if (small != 0) text += ' ' + std::to_string(small) + small_unit;
  return text;
}

std::string whole_seconds(long long seconds) {
  constexpr long long minute = 60, hour = 60 * minute, day = 24 * hour;
  if (seconds < hour) return two_units(seconds / minute, " min", seconds % minute, " s");
  const long long minutes = (seconds + minute / 2) / minute * minute;
  if (minutes < day) return two_units(minutes / hour, " h", minutes % hour / minute, " min");
  const long long hours = (seconds + hour / 2) / hour * hour;
  return two_units(hours / day, " d", hours % day / hour, " h");
}

}  // namespace

std::string format_count(std::int64_t value) {
  std::string digits = std::to_string(value);
  const int first_digit = value < 0 ? 1 : 0;
  for (int at = static_cast<int>(digits.size()) - 3; at > first_digit; at -= 3) {
    digits.insert(static_cast<size_t>(at), ",");
  }
  return digits;
}

std::string format_counted(std::int64_t count, const std::string& what) {
  return format_count(count) + ' ' + what + (count == 1 ? "" : "s");
}

std::string format_si(double value) {
  if (!std::isfinite(value)) return not_a_number;
  constexpr std::array<const char*, 5> prefixes = {"", " k", " M", " G", " T"};
  const Scaled result = scaled(value, prefixes, 999.5);
  if (std::abs(result.value) >= 999.5) return fixed(result.value, 0) + result.prefix;
  if (std::abs(result.value) < 0.001) return fixed(result.value, 0);
  return significant(result.value, 3) + result.prefix;
}

std::string format_bytes(std::uint64_t bytes) {
  if (bytes < 1000) return std::to_string(bytes) + " B";
  constexpr std::array<const char*, 7> prefixes = {" B", " kB", " MB", " GB", " TB", " PB", " EB"};
  const Scaled result = scaled(static_cast<double>(bytes), prefixes, 999.5);
  return fixed(result.value, result.value < 99.95 ? 1 : 0) + result.prefix;
}

std::string format_fixed(double value, int decimals) {
  if (!std::isfinite(value)) return not_a_number;
  const std::string digits = fixed(value, decimals);
  return std::signbit(value) && shows_only_zeros(digits) ? digits.substr(1) : digits;
}

std::string format_signed(double value, int decimals) {
  const std::string digits = format_fixed(value, decimals);
  return std::isfinite(value) && digits.front() != '-' ? '+' + digits : digits;
}

std::string format_at_most(double value, int decimals) {
  const double unit = std::pow(10.0, decimals);
  return format_signed(std::ceil(value * unit) / unit, decimals);
}

std::string format_percent(double fraction, int decimals) {
  return std::isfinite(fraction) ? format_fixed(100 * fraction, decimals) + " %" : not_a_number;
}

std::string format_percent_change(double fraction, int decimals) {
  return std::isfinite(fraction) ? format_signed(100 * fraction, decimals) + " %" : not_a_number;
}

std::string format_duration(double seconds) {
  if (!std::isfinite(seconds)) return not_a_number;
  if (seconds < 5e-7) return "0 s";
  if (seconds < 0.9995) return significant(seconds * 1000, seconds < 0.00995 ? 2 : 3) + " ms";
  if (seconds < 9.95) return fixed(seconds, 1) + " s";
  if (seconds < 59.5) return fixed(seconds, 0) + " s";
  constexpr double longest = 1e15;
  return whole_seconds(std::llround(std::min(seconds, longest)));
}

std::string format_rate(double per_second, std::string_view unit) {
  if (!std::isfinite(per_second)) return not_a_number;
  return format_si(per_second) + ' ' + std::string(unit) + "/s";
}

}  // namespace mformer::terminal
