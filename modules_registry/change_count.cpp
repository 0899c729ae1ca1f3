#include "modules_registry/change_count.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <string>
#include <string_view>
#include <utility>

#include "modules_registry/files.h"

namespace mformer {

namespace {

constexpr std::size_t kNumberDigits = 19;  // of the largest number
constexpr std::size_t kCheck = 16;   // digits of the number's hash, by which a damaged file is known

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

}  // namespace

ChangeCount::Found ChangeCount::read() const {
  const int descriptor = ::open(file_.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return {errno == ENOENT ? State::missing : State::damaged, 0};
  const Found found = read_from(descriptor);
  ::close(descriptor);
  return found;
}

void ChangeCount::raise(std::int64_t changes) const noexcept {
  const int descriptor = ::open(file_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (descriptor < 0) return;
  if (::flock(descriptor, LOCK_EX) == 0) {  // a slower process must not set it back
    const Found found = read_from(descriptor);
    const std::string line = line_of(changes);
    if (found.state != State::known || found.changes < changes) {
      [[maybe_unused]] const ssize_t ignored = ::pwrite(descriptor, line.data(), line.size(), 0);
    }
  }
  ::close(descriptor);
}

void ChangeCount::set(std::int64_t changes) const {
  write_file_atomically(file_, as_bytes(line_of(changes)));
}

}  // namespace mformer
