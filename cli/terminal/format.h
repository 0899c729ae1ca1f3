#pragma once

#include <cstdint>
#include <string>
#include <string_view>

/// Numbers as people read them. Values that are not finite become "n/a". All of it is independent of the locale.
namespace mformer::terminal {

/// Exact, with thousands separators: 1234567 -> "1,234,567".
std::string format_count(std::int64_t value);
/// "1 version", "3 versions".
std::string format_counted(std::int64_t count, const std::string& what);

/// Three significant digits and a decimal prefix: 1234567 -> "1.23 M", 950 -> "950", 0.5 -> "0.5".
std::string format_si(double value);

/// Decimal units: 3400000 -> "3.4 MB", 999 -> "999 B".
std::string format_bytes(std::uint64_t bytes);

/// `value` with a fixed number of decimals: 3.21449 -> "3.2145".
std::string format_fixed(double value, int decimals = 4);

/// A difference, with its sign always shown: 0.0123 -> "+0.0123", -0.5 -> "-0.5000"; what rounds to zero is "+0.0000".
std::string format_signed(double value, int decimals = 4);

/// The same for what something is at most: rounded up, 0.01361 -> "+0.0137", so that no rounded difference below it
/// reads as greater.
std::string format_at_most(double value, int decimals = 4);

/// A fraction as a percentage: 0.1234 -> "12.3 %".
std::string format_percent(double fraction, int decimals = 1);
/// A change: "+12.3 %", "-0.4 %"; what shows only zeros is "+0.0 %", as of format_signed.
std::string format_percent_change(double fraction, int decimals = 1);

/// Seconds in at most two units: 0.034 -> "34 ms", 7.25 -> "7.3 s", 80 -> "1 min 20 s", 7500 -> "2 h 5 min",
/// 200000 -> "2 d 7 h".
std::string format_duration(double seconds);

/// A rate with its unit: (1310, "tokens") -> "1.31 k tokens/s".
std::string format_rate(double per_second, std::string_view unit);

}  // namespace mformer::terminal
