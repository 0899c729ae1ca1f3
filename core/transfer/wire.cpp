#include "core/transfer/wire.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>

#include "core/transfer/parcel_json.h"
#include "modules_registry/json_depth.h"

namespace mformer {
namespace {

constexpr std::size_t kLongestText = std::size_t{16} << 20;  // JSON takes some ten times as much at worst
constexpr std::size_t kPieceOfParcel = std::size_t{1} << 16;
constexpr std::size_t kLongestHeader = 128;
constexpr int kDeepest = 16;
constexpr std::ptrdiff_t kMostLists = 1'000'000;
constexpr int kLookEvery = 200;  // milliseconds between two looks whether to stop

[[noreturn]] void fail_frame() {
  throw Error("the other end does not talk as mformer does",
              "is mformer there, of the same version, and what it prints first?");
}

std::int64_t size_in(std::string_view digits) {
  std::int64_t size = -1;
  const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), size);
  if (parsed.ec != std::errc() || parsed.ptr != digits.data() + digits.size() || size < 0) fail_frame();
  return size;
}

}  // namespace

nlohmann::json json_of_stranger(const std::string& text) {
  if (json_deeper_than(text, kDeepest)) throw Error("what came is nested too deep to be meant", kSameVersion);
  // An empty one takes some thirty times its two characters in memory.
  const auto lists = std::count_if(text.begin(), text.end(), [](char c) { return c == '[' || c == '{'; });
  if (lists > kMostLists) throw Error("what came has more lists than can be meant", kSameVersion);
  auto parsed = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (parsed.is_discarded()) throw Error("what came is no JSON", kSameVersion);
  return parsed;
}

void Wire::send(const nlohmann::json& message) {
  const std::string text = text_of_row(message);
  if (text.size() > kLongestText) {
    throw Error("there is more to tell the other end than it takes at once: versions, objects or measurements",
                "bring fewer models at once, or a bundle: mformer bundle writes a file without such a limit");
  }
  const std::string header = "text " + std::to_string(text.size()) + '\n';
  write_all(as_bytes(header));
  write_all(as_bytes(text));
}

void Wire::send_parcel(const Parcel& parcel) {
  std::size_t size = 0;
  write_parcel(parcel, [&size](std::string_view piece) { size += piece.size(); });
  std::string waiting = "parcel " + std::to_string(size) + '\n';
  write_parcel(parcel, [&](std::string_view piece) {
    waiting += piece;
    if (waiting.size() < kPieceOfParcel) return;
    write_all(as_bytes(waiting));
    waiting.clear();
  });
  write_all(as_bytes(waiting));
}

void Wire::send_error(const Error& error) {
  const bool usage = dynamic_cast<const UsageError*>(&error) != nullptr;
  send({{"error", error.what()}, {"hint", error.hint()}, {"usage", usage}});
}

void Wire::send_object(const std::string& hash, std::int64_t size, const ObjectStore::Reader& read) {
  const std::string header = "object " + hash + ' ' + std::to_string(size) + '\n';
  write_all(as_bytes(header));
  std::vector<std::byte> piece(std::size_t{1} << 20);
  for (std::int64_t left = size; left > 0;) {
    const auto wanted = std::min<std::size_t>(piece.size(), static_cast<std::size_t>(left));
    const std::size_t count = read(std::span(piece).first(wanted));
    if (count == 0)
      throw Error("object " + hash + " became shorter while it was sent", "mformer fsck tells what is wrong");
    write_all(Bytes(piece).first(count));
    left -= static_cast<std::int64_t>(count);
  }
}

nlohmann::json Wire::receive() {
  if (auto message = receive_or_end()) return std::move(*message);
  throw Error("the other end ended before it answered",
              "what it said is above; run the same again: what has come is not sent again");
}

std::optional<nlohmann::json> Wire::receive_or_end() {
  const std::string first = header();
  if (first.empty()) return std::nullopt;
  if (!first.starts_with("text ")) fail_frame();
  const std::int64_t size = size_in(std::string_view(first).substr(5));
  if (size > static_cast<std::int64_t>(kLongestText)) fail_frame();
  std::string text;
  for (std::int64_t left = size; left > 0;) {  // piece by piece: the size is only what the other end says
    const auto count = std::min<std::int64_t>(left, 1 << 20);
    const std::size_t begin = text.size();
    text.resize(begin + static_cast<std::size_t>(count));
    read_all(std::as_writable_bytes(std::span(text).subspan(begin)));
    left -= count;
  }
  auto message = json_of_stranger(text);
  if (!message.is_object() || !message.contains("error")) return message;
  const auto told = [&](const char* name) {
    return message.contains(name) && message[name].is_string() ? message[name].get<std::string>() : std::string();
  };
  const std::string what = "at the other end: " + told("error");
  if (message.contains("usage") && message["usage"] == true) throw UsageError(what, told("hint"));
  throw Error(what, told("hint"));
}

/// What comes is an error, most likely: put back and read as one.
void Wire::fail_instead_of(const std::string& wanted, const std::string& header) {
  if (header.empty()) {
    throw Error("the other end ended before it sent " + wanted,
                "what it said is above; run the same again: what has come is not sent again");
  }
  if (header.starts_with("text ")) {
    const std::string line = header + '\n';
    const auto* bytes = reinterpret_cast<const std::byte*>(line.data());
    buffer_.insert(buffer_.begin() + static_cast<std::ptrdiff_t>(at_), bytes, bytes + line.size());
    receive();
  }
  fail_frame();
}

Parcel Wire::receive_parcel() {
  const std::string line = header();
  if (!line.starts_with("parcel ")) fail_instead_of("a model", line);
  std::int64_t left = size_in(std::string_view(line).substr(7));
  Parcel parcel = read_parcel([&](std::span<char> piece) {
    const auto wanted = std::min<std::size_t>(piece.size(), static_cast<std::size_t>(left));
    const std::size_t count = read_some(std::as_writable_bytes(piece.first(wanted)));
    left -= static_cast<std::int64_t>(count);
    return count;
  });
  if (left != 0) fail_frame();
  return parcel;
}

void Wire::receive_objects(const std::vector<std::string>& hashes, const TakeObject& take) {
  for (const std::string& hash : hashes) {
    const std::string line = header();
    const std::string begins = "object " + hash + ' ';
    if (!line.starts_with(begins)) fail_instead_of("all objects", line);
    std::int64_t left = size_in(std::string_view(line).substr(begins.size()));
    take(hash, left, [&](std::span<std::byte> bytes) {
      const auto wanted = std::min<std::size_t>(bytes.size(), static_cast<std::size_t>(left));
      const std::size_t count = read_some(bytes.first(wanted));
      left -= static_cast<std::int64_t>(count);
      return count;
    });
    if (left != 0) fail_frame();
  }
}

/// A line without its break; "" at the end of what comes.
std::string Wire::header() {
  std::string line;
  while (line.size() < kLongestHeader) {
    std::byte next{};
    if (read_some(std::span(&next, 1)) == 0) {
      if (line.empty()) return "";
      fail_frame();
    }
    if (next == std::byte{'\n'}) {
      if (line.empty()) fail_frame();
      return line;
    }
    line += static_cast<char>(next);
  }
  fail_frame();
}

std::size_t Wire::read_some(std::span<std::byte> bytes) {
  if (bytes.empty()) return 0;
  if (at_ == buffer_.size()) {
    buffer_.resize(std::size_t{1} << 16);
    at_ = 0;
    while (true) {
      pollfd ready{in_, POLLIN, 0};
      if (should_stop_ && should_stop_()) {
        throw StoppedError("the transfer was stopped", "run the same again: what has come is not sent again");
      }
      if (should_stop_ && ::poll(&ready, 1, kLookEvery) == 0) continue;
      const ssize_t count = ::read(in_, buffer_.data(), buffer_.size());
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) throw Error(std::string("can't read from the other end: ") + std::strerror(errno));
      buffer_.resize(static_cast<std::size_t>(count));
      break;
    }
  }
  const std::size_t count = std::min(bytes.size(), buffer_.size() - at_);
  std::copy_n(buffer_.begin() + static_cast<std::ptrdiff_t>(at_), count, bytes.begin());
  at_ += count;
  return count;
}

void Wire::read_all(std::span<std::byte> bytes) {
  while (!bytes.empty()) {
    const std::size_t count = read_some(bytes);
    if (count == 0) throw Error("the other end ended early", "run the same again: what has come is not sent again");
    bytes = bytes.subspan(count);
  }
}

void Wire::write_all(Bytes bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(out_, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0)
      throw WireGone(std::string("the other end is gone: ") + std::strerror(errno),
                     "run the same again: what has come is not sent again");
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
}

}  // namespace mformer
