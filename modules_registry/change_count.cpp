#include "modules_registry/change_count.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <exception>
#include <string>
#include <string_view>
#include <utility>

#include "modules_registry/files.h"
#include "modules_registry/waiting_reader.h"

namespace mformer {

namespace {

constexpr std::size_t kNumberDigits = 19;  // of the largest number
constexpr std::size_t kCheck = 16;         // digits of the number's hash, by which a damaged file is known

/// One line of fixed length, so that it is always overwritten whole.
std::string line_of(std::int64_t changes) {
  std::string digits = std::to_string(changes);
  digits.insert(0, kNumberDigits - digits.size(), '0');
  return digits + " " + sha256_hex(digits).substr(0, kCheck) + "\n";
}

ChangeCount::Found parse(std::string_view text) {
  std::int64_t changes = 0;
  const char* end = text.data() + std::min(text.size(), kNumberDigits);
  const auto parsed = std::from_chars(text.data(), end, changes);
  const bool whole = parsed.ec == std::errc() && changes >= 0 && line_of(changes) == text;
  return whole ? ChangeCount::Found{ChangeCount::State::known, changes}
               : ChangeCount::Found{ChangeCount::State::damaged, 0};
}

ChangeCount::Found read_from(int descriptor) {
  std::array<char, 64> bytes{};
  const ssize_t size = ::pread(descriptor, bytes.data(), bytes.size(), 0);
  if (size < 0) return {ChangeCount::State::damaged, 0};
  return parse({bytes.data(), static_cast<std::size_t>(size)});
}

void overwrite(int descriptor, const std::string& line) {
  std::size_t done = 0;
  while (done < line.size()) {
    const ssize_t written = ::pwrite(descriptor, line.data() + done, line.size() - done, static_cast<off_t>(done));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return;
    done += static_cast<std::size_t>(written);
  }
}

/// False if the file has no number.
bool raise_in_place(const std::filesystem::path& file, std::int64_t changes) {
  const int descriptor = ::open(file.c_str(), O_RDWR | O_CLOEXEC);
  if (descriptor < 0) return errno != ENOENT;
  bool known = true;
  if (::flock(descriptor, LOCK_EX) == 0) {  // a slower process must not set it back
    const ChangeCount::Found found = read_from(descriptor);
    known = found.state == ChangeCount::State::known;
    if (known && found.changes < changes) overwrite(descriptor, line_of(changes));
  }
  ::close(descriptor);
  return known;
}

}  // namespace

ChangeCount::Found ChangeCount::read() const {
  const int descriptor = open_to_read(file_);
  if (descriptor < 0) return {errno == ENOENT ? State::missing : State::damaged, 0};
  Found found = read_from(descriptor);
  // What was read may be half of one number and half of the next: not while the file is locked.
  if (found.state == State::damaged && ::flock(descriptor, LOCK_SH) == 0) found = read_from(descriptor);
  ::close(descriptor);
  return found;
}

void ChangeCount::raise(std::int64_t changes) const noexcept {
  try {
    // A new file is waited for: one of which a power failure leaves the name alone would be a damaged one.
    if (!raise_in_place(file_, changes)) set(changes);
  } catch (const std::exception&) {
    // The next commit tries again.
  }
}

void ChangeCount::set(std::int64_t changes) const {
  write_file_atomically(file_, as_bytes(line_of(changes)));
}

}  // namespace mformer
