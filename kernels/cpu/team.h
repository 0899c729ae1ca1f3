#pragma once

#include <ATen/Parallel.h>
#include <omp.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <thread>

#include "kernels/cpu/tasks.h"

namespace mformer::kernels::cpu {

/// Threads that go through phases of work together, with a barrier that spins after each: a fork for each would cost
/// more than the phases of decoding a token do. A thread's share of a phase are neighbouring tasks, which it takes from
/// the front; when it has none left it takes the last ones of the others.
class Team {
 public:
  static constexpr int64_t kMost = 64;

  explicit Team(int64_t threads) : threads_(threads) {}

  /// Runs body(0) … body(tasks − 1), each once. Every thread of the team calls it, with its own number; at its end all
  /// see what all did.
  template <typename Body>
  void phase(int64_t thread, int64_t tasks, const Body& body) {
    if (threads_ == 1) {
      for (int64_t i = 0; i < tasks; ++i) body(i);
      return;
    }
    share(thread).store(pack(tasks * thread / threads_, tasks * (thread + 1) / threads_), std::memory_order_release);
    for (int64_t i = take(thread, true); i >= 0; i = take(thread, true)) body(i);
    for (int64_t other = 1; other < threads_; ++other) {
      const int64_t from = (thread + other) % threads_;
      for (int64_t i = take(from, false); i >= 0; i = take(from, false)) body(i);
    }
    wait();
  }

  template <typename Work>
  friend void with_team(int64_t operations, const Work& work);

 private:
  struct alignas(64) Share {
    std::atomic<uint64_t> tasks{0};  ///< First and end; none are left at the end of a phase.
  };

  std::atomic<uint64_t>& share(int64_t thread) { return shares_[static_cast<std::size_t>(thread)].tasks; }

  static uint64_t pack(int64_t first, int64_t end) {
    return static_cast<uint64_t>(first) << 32U | static_cast<uint64_t>(end);
  }

  /// The first or last task that is left of a share; −1 if none is.
  int64_t take(int64_t thread, bool front) {
    std::atomic<uint64_t>& tasks = share(thread);
    for (uint64_t now = tasks.load(std::memory_order_acquire);;) {
      const auto first = static_cast<int64_t>(now >> 32U), end = static_cast<int64_t>(now & 0xffffffffU);
      if (first >= end) return -1;
      const uint64_t left = front ? pack(first + 1, end) : pack(first, end - 1);
      if (tasks.compare_exchange_weak(now, left, std::memory_order_acq_rel)) return front ? first : end - 1;
    }
  }

  void wait() {
    const uint64_t phase = phase_.load(std::memory_order_relaxed);
    if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == threads_) {
      arrived_.store(0, std::memory_order_relaxed);
      phase_.store(phase + 1, std::memory_order_release);
      return;
    }
    // Some milliseconds: who gives its core away beside a busy process gets it back much later than the phase ends.
    // After them the other one has been taken off its core, maybe for this one.
    constexpr int kSpins = 50'000;
    for (int spins = 0; phase_.load(std::memory_order_acquire) == phase; ++spins) {
      if (spins < kSpins) {
#if defined(__x86_64__)
        __builtin_ia32_pause();
#endif
      } else {
        std::this_thread::yield();
      }
    }
  }

  int64_t threads_;
  alignas(64) std::atomic<int64_t> arrived_{0};
  alignas(64) std::atomic<uint64_t> phase_{0};
  std::array<Share, kMost> shares_;
};

/// Calls work(team, number of the thread) on every thread of a team: all there are, or the caller alone where
/// `operations` are too few or where other threads are at work already.
template <typename Work>
void with_team(int64_t operations, const Work& work) {
  const int64_t wanted = std::min<int64_t>(Team::kMost, at::get_num_threads());
  if (wanted <= 1 || operations < kSerialOperations || at::in_parallel_region()) {
    Team alone(1);
    return work(alone, 0);
  }
  Team team(wanted);
#pragma omp parallel num_threads(static_cast <int>(wanted))
  {
    // How many the runtime gave is known in here alone.
#pragma omp single
    team.threads_ = omp_get_num_threads();
    work(team, static_cast<int64_t>(omp_get_thread_num()));
  }
}

}  // namespace mformer::kernels::cpu
