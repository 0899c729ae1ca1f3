#include "cli/interrupt.h"

#include <unistd.h>

#include <atomic>
#include <csignal>

namespace mformer::cli {
namespace {

std::atomic<int> received{0};
static_assert(std::atomic<int>::is_always_lock_free, "a signal handler may touch lock-free atomics only");

void on_signal(int signal) {
  if (received.exchange(signal) == 0) return;
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
}

}  // namespace mformer::cli
