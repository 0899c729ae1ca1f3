#include "core/formats/quoted_name.h"

#include "modules_registry/printable.h"

namespace mformer {

std::string shortened(std::string_view text, std::size_t most) {
  if (text.size() <= most) return std::string(text);
  std::size_t end = most;
  while (end > 0 && most - end < 4 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80) --end;
  return std::string(text.substr(0, end)) + "…";
}

std::string quoted_name(std::string_view name) {
  constexpr std::size_t kLongest = 120;
  return "'" + printable(shortened(name, kLongest)) + "'";
}

}  // namespace mformer
