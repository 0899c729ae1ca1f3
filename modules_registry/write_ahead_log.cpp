#include "modules_registry/write_ahead_log.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

#include "modules_registry/error.h"
#include "modules_registry/files.h"

namespace mformer {

namespace {

constexpr std::size_t kHeader = 32;
constexpr std::size_t kFrameHeader = 24;
constexpr std::uint32_t kMagic = 0x377f0682;  // the last bit tells the byte order of the checksums
constexpr std::uint32_t kVersion = 3007000;

std::uint32_t big_endian(std::string_view bytes, std::size_t at) {
  std::uint32_t number = 0;
  for (std::size_t i = 0; i < 4; ++i) number = number << 8 | static_cast<unsigned char>(bytes[at + i]);
  return number;
}

std::uint32_t little_endian(std::string_view bytes, std::size_t at) {
  std::uint32_t number = 0;
  for (std::size_t i = 4; i-- > 0;) number = number << 8 | static_cast<unsigned char>(bytes[at + i]);
  return number;
}

struct Checksum {
  bool is_big_endian = false;
  std::uint32_t first = 0;
  std::uint32_t second = 0;

  void add(std::string_view bytes) {
    for (std::size_t at = 0; at + 8 <= bytes.size(); at += 8) {
      first += word(bytes, at) + second;
      second += word(bytes, at + 4) + first;
    }
  }
  bool stands_in(std::string_view bytes, std::size_t at) const {
    return big_endian(bytes, at) == first && big_endian(bytes, at + 4) == second;
  }

 private:
  std::uint32_t word(std::string_view bytes, std::size_t at) const {
    return is_big_endian ? big_endian(bytes, at) : little_endian(bytes, at);
  }
};

/// Where the first frame lies that SQLite would not read, in a log that has a sound header.
class Frames {
 public:
  Frames(std::string_view log, Checksum sum, std::size_t page_size)
      : log_(log), sum_(sum), size_(kFrameHeader + page_size) {}

  std::size_t first_unread() {
    std::size_t at = kHeader;
    while (at + size_ <= log_.size() && is_sound(log_.substr(at, size_))) at += size_;
    return at;
  }

  /// Written since the log was last used anew: both salts, which change then, are the header's.
  bool is_of_now(std::size_t at) const {
    return at + 16 <= log_.size() && log_.substr(at + 8, 8) == log_.substr(16, 8);
  }

  /// The same, or but for a damaged salt. The first salt counts the uses of the log, so a lower one is an older use's.
  bool was_of_now(std::size_t at) const {
    constexpr std::uint32_t kUses = 10'000;
    const std::uint32_t uses_ago = big_endian(log_, 16) - big_endian(log_, at + 8);
    const bool has_second_salt = log_.substr(at + 12, 4) == log_.substr(20, 4);
    return uses_ago == 0 || (has_second_salt && uses_ago > kUses);
  }

  /// The last of its transaction: the size of the database stands in it.
  bool is_commit(std::size_t at) const { return big_endian(log_, at + 4) != 0; }

  /// Whether the frame was written wholly, as far as that can be told: a checksum goes on from the one before it, which
  /// stands in the frame before, or (`sum`) follows from what is in it. A writer that is killed between the two writes
  /// of a frame leaves its head before the bytes of an older one.
  bool was_written_wholly(std::size_t at, const Checksum& sum) const {
    if (!is_of_now(at - size_)) return true;  // there is nothing to go on from
    const std::string_view frame = log_.substr(at, size_);
    return after(sum, frame).stands_in(frame, 16) || after(stored_before(at), frame).stands_in(frame, 16);
  }

  /// Of the frames before the first that is not read.
  const Checksum& sum() const { return sum_; }

  static Checksum after(Checksum sum, std::string_view frame) {
    sum.add(frame.substr(0, 8));
    sum.add(frame.substr(kFrameHeader));
    return sum;
  }

  std::string_view frame(std::size_t at) const { return log_.substr(at, size_); }
  std::size_t size() const { return size_; }

 private:
  bool is_sound(std::string_view frame) {
    if (frame.substr(8, 8) != log_.substr(16, 8)) return false;
    const Checksum sum = after(sum_, frame);
    if (!sum.stands_in(frame, 16)) return false;
    sum_ = sum;
    return true;
  }

  Checksum stored_before(std::size_t at) const {
    const std::size_t before = at - size_;
    return {sum_.is_big_endian, big_endian(log_, before + 16), big_endian(log_, before + 20)};
  }

  std::string_view log_;
  Checksum sum_;
  std::size_t size_;
};

/// Where the damage lies; nothing if there is none.
std::optional<std::size_t> damage_in(std::string_view log) {
  if (log.size() <= kHeader) return std::nullopt;  // no frame, so nothing to lose
  Checksum sum{(big_endian(log, 0) & 1U) != 0};
  sum.add(log.substr(0, 24));
  const std::uint32_t page_size = big_endian(log, 8);
  const bool sound = (big_endian(log, 0) & ~1U) == kMagic && big_endian(log, 4) == kVersion && page_size >= 512 &&
                     page_size <= 65536 && sum.stands_in(log, 24);
  if (!sound) return 0;
  Frames frames(log, sum, page_size);
  const std::size_t at = frames.first_unread();
  if (at + frames.size() > log.size()) return std::nullopt;  // the end, or a frame cut off
  // Frames are written one after the other, each wholly before the next begins, and a transaction's last one is marked.
  // One of now that ends a transaction, with a frame of now or the end of the file behind it, was whole once; before
  // older frames it may be one cut off. What no such frame follows is nothing to lose: a transaction that failed or was
  // killed leaves its frames, and the next one may be shorter.
  const std::size_t next = at + frames.size();
  Checksum running = Frames::after(frames.sum(), frames.frame(at));
  const bool cut_off = next + frames.size() > log.size();
  const bool goes_on = frames.is_of_now(next) && (cut_off || frames.was_written_wholly(next, running));
  if (frames.is_commit(at) && frames.was_of_now(at) && (next == log.size() || goes_on)) return at;
  for (std::size_t later = next; later + frames.size() <= log.size(); later += frames.size()) {
    const bool ends = frames.is_commit(later) && frames.is_of_now(later);
    if (ends && frames.was_written_wholly(later, running)) return at;
    running = Frames::after(running, frames.frame(later));
  }
  return std::nullopt;
}

std::optional<std::size_t> damage_in_file(const std::filesystem::path& log) {
  std::error_code missing;
  if (std::filesystem::file_size(log, missing) == 0 || missing) return std::nullopt;
  try {
    return damage_in(read_file(log));
  } catch (const Error&) {
    return std::nullopt;  // gone meanwhile; and who can't read it hears so from SQLite
  }
}

}  // namespace

bool is_damaged_log(const std::filesystem::path& log) {
  // Beside a writer what is read may be half old and half new. Damage stays where it is.
  const std::optional<std::size_t> first = damage_in_file(log);
  if (!first) return false;
  constexpr int kMoreLooks = 3;
  for (int look = 0; look < kMoreLooks; ++look) {
    if (damage_in_file(log) != first) return false;
  }
  return true;
}

}  // namespace mformer
