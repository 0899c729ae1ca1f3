#include "modules_registry/waiting_reader.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>

#include "modules_registry/error.h"

namespace mformer {

namespace {

constexpr int kWaitAtOnce = 200;  // milliseconds: a signal that comes just before a wait begins does not end that

std::atomic<bool (*)()> stops_waiting{nullptr};

}  // namespace

void stop_waiting_when(bool (*should_stop)()) {
  stops_waiting = should_stop;
}

int open_to_read(const std::string& path) {
  int descriptor = -1;
  do {
    descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  } while (descriptor < 0 && errno == EINTR);
  return descriptor;
}

ssize_t read_when_ready(int descriptor, std::span<std::byte> to, const std::string& name) {
  while (true) {
    if (const auto stops = stops_waiting.load(); stops != nullptr && stops()) {
      throw StoppedError("reading " + name + " was stopped", "the same command reads it from its beginning");
    }
    // Of a pipe that nobody has written to yet a read would say that it is at its end.
    pollfd ready{descriptor, POLLIN, 0};
    if (::poll(&ready, 1, kWaitAtOnce) == 0) continue;
    const ssize_t got = ready.revents == 0 ? -1 : ::read(descriptor, to.data(), to.size());
    if (got >= 0 || (ready.revents != 0 && errno != EINTR && errno != EAGAIN)) return got;
  }
}

}  // namespace mformer
