#include "cli/standard_streams.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <span>
#include <system_error>

#include "modules_registry/error.h"
#include "modules_registry/waiting_reader.h"

namespace mformer::cli {

void hold_closed_streams() {
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(stream, F_GETFD) >= 0 || errno != EBADF) continue;
    // The lowest free number is the stream's own. Opened the wrong way round, so that its use is an error as before.
    const int held = ::open("/dev/null", stream == STDIN_FILENO ? O_WRONLY : O_RDONLY);
    if (held >= 0 && held != stream) ::close(held);
  }
}

std::string read_standard_input() {
  std::string text;
  std::array<char, 1U << 16U> block{};
  while (true) {
    const ssize_t got = read_when_ready(STDIN_FILENO, std::as_writable_bytes(std::span(block)), "standard input");
    if (got == 0) return text;
    if (got < 0) {
      throw Error("standard input can't be read: " + std::generic_category().message(errno),
                  "give it a file or a pipe that can be read: < FILE");
    }
    text.append(block.data(), static_cast<std::size_t>(got));
  }
}

}  // namespace mformer::cli
