#include "core/text/lenient_json.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <set>
#include <utility>
#include <vector>

#include "core/text/utf8.h"
#include "modules_registry/printable.h"

namespace mformer {
namespace {

using nlohmann::json;

constexpr int kDeepest = 64;
// Brackets, names and values: in memory one takes up to 80 bytes, and in the file as few as two.
constexpr size_t kMostParts = 2'000'000;
constexpr size_t kMostMoved = 1 << 16;
constexpr std::string_view kUnknownCharacter = "\xEF\xBF\xBD";

/// A text with everything replaced that strict JSON has not, and where its parts came from.
class Repair {
 public:
  explicit Repair(std::string_view text) : text_(text) {
    out_.reserve(text.size() + 16);
    while (at_ < text_.size()) in_string_ ? inside_string() : outside_string();
  }

  const std::string& text() const { return out_; }

  /// The place in the original of a place in text().
  size_t origin(size_t place) const {
    const auto after = std::ranges::upper_bound(moved_, place, {}, &std::pair<size_t, size_t>::first);
    if (after == moved_.begin()) return place;
    return (after - 1)->second + place - (after - 1)->first;
  }

 private:
  void copy(size_t bytes) {
    out_ += text_.substr(at_, bytes);
    at_ = std::min(text_.size(), at_ + bytes);
  }

  void replace(size_t bytes, std::string_view by) {
    out_ += by;
    at_ += bytes;
    // Beyond so many a place is off by what is replaced after the last.
    if (bytes != by.size() && moved_.size() < kMostMoved) moved_.emplace_back(out_.size(), at_);
  }

  void inside_string() {
    const char c = text_[at_];
    if (c == '\\') return escape();
    if (c == '"') in_string_ = false;
    const size_t length = utf8_length(text_.substr(at_));
    length == 0 ? replace(1, kUnknownCharacter) : copy(length);
  }

  /// The number of a \uXXXX at `at`, or −1.
  int32_t code_unit(size_t at) const {
    if (text_.size() < at + 6 || text_.substr(at, 2) != "\\u") return -1;
    int32_t value = 0;
    for (const char c : text_.substr(at + 2, 4)) {
      const std::string_view digits = "0123456789abcdef";
      const size_t digit = digits.find(static_cast<char>(c | 0x20));
      if (digit == std::string_view::npos || (c < '0' || (c > '9' && c < 'A'))) return -1;
      value = value * 16 + static_cast<int32_t>(digit);
    }
    return value;
  }

  void escape() {
    const int32_t unit = code_unit(at_), next = code_unit(at_ + 6);
    const bool high = unit >= 0xD800 && unit < 0xDC00, low = unit >= 0xDC00 && unit < 0xE000;
    if (high && next >= 0xDC00 && next < 0xE000) return copy(12);
    if (high || low) return replace(6, "\\ufffd");
    copy(2);
  }

  void outside_string() {
    const char c = text_[at_];
    if (c == '"') in_string_ = true;
    for (const std::string_view name : {"NaN", "Infinity", "-Infinity"}) {
      if (text_.substr(at_, name.size()) == name) return replace(name.size(), "null");
    }
    if (c != '-' && (c < '0' || c > '9')) return copy(1);
    const size_t end = text_.find_first_not_of("+-.0123456789eE", at_);
    const std::string number(text_.substr(at_, end - at_));
    std::isfinite(std::strtod(number.c_str(), nullptr)) ? copy(number.size()) : replace(number.size(), "null");
  }

  std::string_view text_;
  std::string out_;
  size_t at_ = 0;
  bool in_string_ = false;
  std::vector<std::pair<size_t, size_t>> moved_;  // ends of replaced parts, here and in the original
};

/// Depth, keys and the number of parts, which the parser itself does not look at.
struct Watch {
  bool too_deep = false;
  size_t parts = 0;
  std::set<std::string> keys;
  std::string twice;

  bool operator()(int depth, json::parse_event_t event, json& value) {
    if (++parts > kMostParts) return false;  // what is not kept takes no memory
    if (event == json::parse_event_t::object_start || event == json::parse_event_t::array_start) {
      too_deep = too_deep || depth >= kDeepest;
      return depth < kDeepest;
    }
    if (event == json::parse_event_t::key && depth == 1 && !keys.insert(value.get<std::string>()).second) {
      twice = value.get<std::string>();
    }
    return true;
  }
};

LenientJson parse(std::string_view text) {
  LenientJson result;
  Watch watch;
  result.value =
      json::parse(text, [&](int depth, json::parse_event_t event, json& value) { return watch(depth, event, value); });
  if (watch.parts > kMostParts) result.problem = "has more than " + std::to_string(kMostParts) + " parts";
  if (watch.too_deep) result.problem = "is nested more than " + std::to_string(kDeepest) + " deep";
  if (!watch.twice.empty()) result.problem = "has the field '" + printable(watch.twice.substr(0, 40)) + "' twice";
  return result;
}

/// What stands at the place where reading stopped.
std::string shown_at(std::string_view text, size_t at) {
  if (at >= text.size()) return "is not JSON: it ends too early";
  const size_t length = std::max<size_t>(1, utf8_length(text.substr(at)));
  return "is not JSON at '" + printable(text.substr(at, length)) + "'";
}

}  // namespace

LenientJson read_lenient_json(std::string_view text) {
  try {
    return parse(text);
  } catch (const json::exception&) {
    // Strict JSON is by far the most, and is read without a copy.
  }
  const Repair repair(text);
  try {
    return parse(repair.text());
  } catch (const json::parse_error& error) {
    LenientJson result;
    result.at = std::min(repair.origin(error.byte == 0 ? 0 : error.byte - 1), text.size());
    result.problem = shown_at(text, result.at);
    return result;
  } catch (const json::exception&) {
    LenientJson result;
    result.problem = "is not JSON";
    return result;
  }
}

}  // namespace mformer
