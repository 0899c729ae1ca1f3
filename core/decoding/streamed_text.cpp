#include "core/decoding/streamed_text.h"

#include <algorithm>

#include "core/text/utf8.h"

namespace mformer {

StreamedText::StreamedText(const std::vector<std::string>& stops,
                           const std::function<void(const std::string&)>& on_text)
    : stops_(stops), on_text_(on_text) {
  for (const std::string& stop : stops) longest_ = std::max(longest_, stop.size());
}

bool StreamedText::append(const std::string& bytes) {
  text_ += bytes;
  std::size_t first = std::string::npos;
  for (const std::string& stop : stops_) {
    first = std::min(first, text_.find(stop, shown_ > stop.size() ? shown_ - stop.size() : 0));
  }
  if (first != std::string::npos) {
    text_.resize(first);
    return false;
  }
  const std::size_t held = longest_ > 0 ? longest_ - 1 : 0;
  if (text_.size() > shown_ + held) show(text_.size() - held);
  return true;
}

void StreamedText::finish() {
  if (shown_ < text_.size() && on_text_) on_text_(replace_invalid_utf8(text_.substr(shown_)));
  shown_ = text_.size();
}

/// Shows up to `end`, less an unfinished character at its end.
void StreamedText::show(std::size_t end) {
  end = character_boundary(end);
  if (end <= shown_) return;
  if (on_text_) on_text_(replace_invalid_utf8(text_.substr(shown_, end - shown_)));
  shown_ = end;
}

/// `end`, or where the character begins that would go on after it.
std::size_t StreamedText::character_boundary(std::size_t end) const {
  for (std::size_t back = 1; back <= 3 && back <= end; ++back) {
    const auto byte = static_cast<unsigned char>(text_[end - back]);
    if ((byte & 0xC0U) == 0x80U) continue;
    const std::size_t length = byte >= 0xF0U ? 4 : byte >= 0xE0U ? 3 : byte >= 0xC0U ? 2 : 1;
    return length > back ? end - back : end;
  }
  return end;
}

}  // namespace mformer
