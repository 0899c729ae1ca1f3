#pragma once

#include <ATen/Parallel.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <vector>

namespace mformer::kernels::cpu {

/// Operations below which a parallel region costs more than it saves.
inline constexpr int64_t kSerialOperations = 200'000;

/// Runs body(0) … body(tasks − 1), each once, on all threads. Threads take the next task when they are free instead of
/// an equal share, so that one beside a busy process does not hold up the others. Tasks must not depend on each other.
/// `operations` is what all of them do together, roughly.
template <typename Body>
void for_each_task(int64_t tasks, int64_t operations, const Body& body) {
  const int64_t threads = std::min<int64_t>(tasks, at::get_num_threads());
  if (threads <= 1 || operations < kSerialOperations || at::in_parallel_region()) {
    for (int64_t i = 0; i < tasks; ++i) body(i);
    return;
  }
  std::atomic<int64_t> next{0};
  at::parallel_for(0, threads, 1, [&](int64_t begin, int64_t end) {
    for (int64_t thread = begin; thread < end; ++thread) {
      for (int64_t i = next++; i < tasks; i = next++) body(i);
    }
  });
}

/// Room for `count` values that the calling thread keeps for its next task: no allocation, no page faults. `Use` tells
/// buffers apart that are in use at the same time. Begins a cache line, so that no vector in it straddles two.
template <typename T, int Use>
T* scratch(int64_t count) {
  constexpr int64_t kLine = 64;
  thread_local std::vector<T> room;
  const int64_t needed = count + kLine / static_cast<int64_t>(sizeof(T));
  if (static_cast<int64_t>(room.size()) < needed) room.resize(needed);
  const auto address = reinterpret_cast<uintptr_t>(room.data());
  return reinterpret_cast<T*>((address + kLine - 1) / kLine * kLine);
}

}  // namespace mformer::kernels::cpu
