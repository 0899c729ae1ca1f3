#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

namespace mformer {

/// Text as it grows: hands out whole characters, and nothing that may turn into a stop string.
class StreamedText {
 public:
  /// Both must outlive the stream; `on_text` may be empty. What it gets is valid UTF-8.
  StreamedText(const std::vector<std::string>& stops, const std::function<void(const std::string&)>& on_text);

  /// False when a stop string has appeared; the text then ends before it.
  bool append(const std::string& bytes);
  /// Hands out what was held back.
  void finish();
  /// All bytes so far.
  const std::string& text() const { return text_; }

 private:
  void show(std::size_t end);
  std::size_t character_boundary(std::size_t end) const;

  const std::vector<std::string>& stops_;
  const std::function<void(const std::string&)>& on_text_;
  std::size_t longest_ = 0, shown_ = 0;
  std::string text_;
};

}  // namespace mformer
