#include "core/formats/pickle_reader.h"

#include <cstring>

#include "modules_registry/error.h"

namespace mformer::pickle {

void Reader::refuse(const std::string& why) const {
  throw Error("'" + source_ + "' is not a state dict that can be read safely: " + why,
              "save model.state_dict() alone, by torch.save or, better, as model.safetensors by the safetensors "
              "Python package, and import that");
}

std::string_view Reader::take(std::size_t count) {
  if (count > program_.size() - at_) refuse("its program is cut short");
  const std::string_view taken = program_.substr(at_, count);
  at_ += count;
  return taken;
}

std::string_view Reader::line() {
  const std::size_t end = program_.find('\n', at_);
  if (end == std::string_view::npos) refuse("its program is cut short");
  const std::string_view text = program_.substr(at_, end - at_);
  at_ = end + 1;
  return text;
}

std::uint32_t Reader::unsigned_number(std::size_t bytes) {
  std::uint32_t value = 0;
  std::memcpy(&value, take(bytes).data(), bytes);
  return value;
}

std::int64_t Reader::long_number() {
  const std::string_view bytes = take(unsigned_number(1));
  if (bytes.size() > 8) refuse("it holds a number that is no size");
  const bool negative = !bytes.empty() && (static_cast<unsigned char>(bytes.back()) & 0x80U) != 0;
  std::uint64_t value = negative ? ~std::uint64_t{0} : 0;
  std::memcpy(&value, bytes.data(), bytes.size());
  return static_cast<std::int64_t>(value);
}

}  // namespace mformer::pickle
