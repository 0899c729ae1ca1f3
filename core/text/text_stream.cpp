#include "core/text/text_stream.h"

#include <algorithm>

#include "core/text/utf8.h"
#include "modules_registry/printable.h"

namespace mformer {
namespace {

constexpr std::size_t kBlockBytes = 256UL << 10U;

}  // namespace

TextStream::TextStream(const std::filesystem::path& file, bool gzip) : file_(InputFile::open(file)) {
  if (!gzip) return;
  gzip_ = std::make_unique<GzipReader>([this](std::span<std::byte> to) { return read_file(to); },
                                       "'" + printable(file.string()) + "'");
}

std::size_t TextStream::read_file(std::span<std::byte> to) {
  const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(to.size(), file_.size() - offset_));
  file_.read(offset_, to.first(count));
  offset_ += count;
  return count;
}

std::string_view TextStream::peek(std::size_t bytes) {
  while (!ended_ && buffer_.size() - begin_ < bytes) {
    buffer_.erase(0, begin_);
    begin_ = 0;
    const std::size_t kept = buffer_.size();
    buffer_.resize(kept + std::max(kBlockBytes, bytes - kept));
    const auto room = std::as_writable_bytes(std::span(buffer_)).subspan(kept);
    const std::size_t got = gzip_ ? gzip_->read(room) : read_file(room);
    buffer_.resize(kept + got);
    ended_ = got == 0;
  }
  return std::string_view(buffer_).substr(begin_);
}

void TextStream::consume(std::size_t bytes) {
  begin_ += bytes;
}

}  // namespace mformer
