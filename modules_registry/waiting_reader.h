#pragma once

#include <sys/types.h>

#include <cstddef>
#include <span>
#include <string>

namespace mformer {

// Reading what somebody else may still have to write: a pipe, a terminal.

/// From now on whoever waits in read_when_ready() asks this some times a second, and at once when a signal comes. For
/// main, before there is a second thread; without it a wait lasts until somebody writes.
void stop_waiting_when(bool (*should_stop)());

/// A file to be read from its beginning to its end: a pipe too, also one that nobody has opened for writing yet, which
/// this does not wait for. The descriptor, or -1 and errno.
int open_to_read(const std::string& path);

/// What there is, as ::read gives it: a number of bytes, 0 at the end, or -1 and errno. Waits until there is something.
/// Throws StoppedError if it is to stop before; `name` says of what.
ssize_t read_when_ready(int descriptor, std::span<std::byte> to, const std::string& name);

}  // namespace mformer
