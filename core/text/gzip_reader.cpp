#include "core/text/gzip_reader.h"

#include <zlib.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "modules_registry/error.h"

namespace mformer {

struct GzipReader::State {
  State(std::function<std::size_t(std::span<std::byte>)> source, std::string file)
      : refill(std::move(source)), name(std::move(file)), block(1U << 16U) {
    constexpr int kGzipOnly = 16 + MAX_WBITS;
    if (inflateInit2(&stream, kGzipOnly) != Z_OK) throw Error("there is no memory to unpack " + name);
  }
  ~State() { inflateEnd(&stream); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  /// Whether there are packed bytes to go on with.
  bool feed() {
    if (stream.avail_in > 0) return true;
    const std::size_t got = refill(block);
    stream.next_in = reinterpret_cast<Bytef*>(block.data());
    stream.avail_in = static_cast<uInt>(got);
    packed += got;
    return got > 0;
  }

  void check_growth() const {
    if (unpacked <= kAlwaysAllowed || unpacked <= kMostGrowth * packed) return;
    throw Error(name + " unpacks to more than " + std::to_string(kMostGrowth) + " times its size",
                "if that is no mistake, unpack it yourself and give the unpacked file");
  }

  std::function<std::size_t(std::span<std::byte>)> refill;
  std::string name;
  std::vector<std::byte> block;
  z_stream stream{};
  std::uint64_t packed = 0, unpacked = 0;
  bool in_member = false, any = false;
};

GzipReader::GzipReader(std::function<std::size_t(std::span<std::byte>)> read, std::string name)
    : state_(std::make_unique<State>(std::move(read), std::move(name))) {}
GzipReader::~GzipReader() = default;

std::size_t GzipReader::read(std::span<std::byte> to) {
  State& state = *state_;
  z_stream& stream = state.stream;
  stream.next_out = reinterpret_cast<Bytef*>(to.data());
  stream.avail_out = static_cast<uInt>(std::min<std::size_t>(to.size(), 1U << 30U));
  const uInt room = stream.avail_out;
  while (stream.avail_out == room) {
    if (!state.feed()) {
      if (!state.in_member && state.any) return 0;
      throw Error(state.name + " ends before its packed text does", "fetch it again; gzip -t FILE checks it");
    }
    if (!std::exchange(state.in_member, true) && state.any) inflateReset(&stream);
    state.any = true;
    const int code = inflate(&stream, Z_NO_FLUSH);
    if (code == Z_STREAM_END) {
      state.in_member = false;
    } else if (code != Z_OK && code != Z_BUF_ERROR) {
      throw Error(state.name + " is no gzip file, or a damaged one", "fetch it again; gzip -t FILE checks it");
    }
  }
  const std::size_t got = room - stream.avail_out;
  state.unpacked += got;
  state.check_growth();
  return got;
}

}  // namespace mformer
