#include "cli/interrupt.h"

#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdint>
#include <ctime>

namespace mformer::cli {
namespace {

constexpr std::int64_t one_request_ms = 500;

std::atomic<int> received{0};
std::atomic<std::int64_t> first_at{0};  // in milliseconds of the monotonic clock, never 0 there
static_assert(std::atomic<int>::is_always_lock_free && std::atomic<std::int64_t>::is_always_lock_free,
              "a signal handler may touch lock-free atomics only");

std::int64_t now_ms() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return std::int64_t{time.tv_sec} * 1000 + time.tv_nsec / 1000000 + 1;
}

/// One request may come as several signals: `timeout` signals the process and then its group, and the kernel tells a
/// child of the end of each of its parent's threads.
void on_signal(int signal) {
  std::int64_t first = 0;
  if (first_at.compare_exchange_strong(first, now_ms())) {
    received = signal;
    return;
  }
  if (now_ms() - first < one_request_ms) return;
  constexpr char line_end[] = "\n";  // leaves the progress bar's line to the shell's prompt
  [[maybe_unused]] const ssize_t ignored = write(STDERR_FILENO, line_end, 1);
  _exit(128 + signal);
}

void handle_with(void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;  // half-done reads and writes go on: only polling ends the work
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  struct sigaction hang_up {};
  sigaction(SIGHUP, nullptr, &hang_up);
  if (hang_up.sa_handler != SIG_IGN) sigaction(SIGHUP, &action, nullptr);  // nohup asks to go on without the terminal
}

}  // namespace

void install_signal_handlers() {
  handle_with(on_signal);
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
}

void let_signals_end_the_process() {
  handle_with(SIG_DFL);
}

bool interrupted() noexcept {
  return received.load(std::memory_order_relaxed) != 0;
}

int interrupt_exit_code() noexcept {
  return interrupted() ? 128 + received.load() : 128 + SIGINT;
}

void clear_interrupt() noexcept {
  received = 0;
  first_at = 0;
}

}  // namespace mformer::cli
