#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include "kernels/cuda/warp.h"

namespace mformer::kernels::cuda {

/// In which order the host runs the blocks of a grid, the warps and threads of a block, and the lanes of a warp. A GPU
/// promises none: whoever reads what another writes in the same phase shows by different results. Shuffled: each time
/// another, by a seed.
enum class Order { ascending, descending, shuffled };

/// Numbers 0 … count − 1 in an order.
class Sequence {
 public:
  Sequence(Order order, uint64_t seed) : order_(order), state_(seed) {}

  void put(int64_t count, std::vector<int64_t>& to) {
    to.resize(static_cast<std::size_t>(count));
    for (int64_t i = 0; i < count; ++i) to[i] = order_ == Order::descending ? count - 1 - i : i;
    if (order_ != Order::shuffled) return;
    for (int64_t i = count - 1; i > 0; --i) std::swap(to[i], to[random() % static_cast<uint64_t>(i + 1)]);
  }

 private:
  /// splitmix64.
  uint64_t random() {
    uint64_t x = state_ += 0x9e3779b97f4a7c15U;
    x = (x ^ (x >> 30U)) * 0xbf58476d1ce4e5b9U;
    x = (x ^ (x >> 27U)) * 0x94d049bb133111ebU;
    return x ^ (x >> 31U);
  }

  Order order_;
  uint64_t state_;
};

/// A warp of the host's executor: its lanes step together.
class HostWarp {
 public:
  /// `lanes`: 0 … 31 in the order in which they run.
  HostWarp(int first_thread, const std::vector<int64_t>& lanes) : first_(first_thread), order_(lanes) {}

  template <class Step>
  void lanes(const Step& step) const {
    for (const int64_t lane : order_) step(first_ + static_cast<int>(lane));
  }

  /// A value of each lane.
  template <class T>
  class Local {
   public:
    T& operator[](int thread) { return values_[thread % kLanes]; }

   private:
    T values_[kLanes];
  };

  template <bool transposed, class From, class To>
  void load_matrices(const From& from, const To& to) const {
    for (int lane = 0; lane < kLanes; ++lane) {
      for (int i = 0; i < 4; ++i) {
        uint32_t word = 0;
        for (int e = 0; e < 2; ++e) {
          const int row = transposed ? 2 * (lane % 4) + e : lane / 4,
                    column = transposed ? lane / 4 : 2 * (lane % 4) + e;
          const BFloat16* begin = from(first_ + 8 * i + row);
          word |= static_cast<uint32_t>(begin[column].bits) << (16U * static_cast<unsigned>(e));
        }
        to(first_ + lane)[i] = word;
      }
    }
  }

  template <class Sums, class A, class B>
  void multiply_add(const Sums& sums, const A& a, const B& b) const {
    float left[16][16], right[16][8];
    for (int lane = 0; lane < kLanes; ++lane) {
      const int g = lane / 4, t = 2 * (lane % 4);
      for (int e = 0; e < 2; ++e) {
        for (int i = 0; i < 4; ++i) left[g + 8 * (i % 2)][t + 8 * (i / 2) + e] = half(a(first_ + lane)[i], e);
        for (int i = 0; i < 2; ++i) right[t + 8 * i + e][g] = half(b(first_ + lane)[i], e);
      }
    }
    for (int lane = 0; lane < kLanes; ++lane) {
      const int g = lane / 4, t = 2 * (lane % 4);
      for (int i = 0; i < 4; ++i) {
        float& sum = sums(first_ + lane)[i];
        for (int d = 0; d < 16; ++d) sum += left[g + 8 * (i / 2)][d] * right[d][t + i % 2];
      }
    }
  }

 private:
  static float half(uint32_t word, int which) {
    return to_float(BFloat16{static_cast<uint16_t>(word >> (16U * static_cast<unsigned>(which)))});
  }

  int first_;
  const std::vector<int64_t>& order_;
};

/// The executor of the host.
template <int kThreads>
class HostBlock {
 public:
  HostBlock(BlockIndex at, Sequence sequence) : index(at), sequence_(sequence) {}

  BlockIndex index;

  template <class Phase>
  void each(const Phase& phase) {
    sequence_.put(kThreads, threads_);
    for (const int64_t thread : threads_) phase(static_cast<int>(thread));
  }

  template <class Phase>
  void each_warp(const Phase& phase) {
    static_assert(kThreads % kLanes == 0);
    sequence_.put(kThreads / kLanes, threads_);
    sequence_.put(kLanes, lanes_);
    for (const int64_t i : threads_) {
      HostWarp warp(static_cast<int>(i) * kLanes, lanes_);
      phase(warp);
    }
  }

  /// A value of each thread.
  template <class T>
  class Local {
   public:
    T& operator[](int thread) { return values_[thread]; }

   private:
    T values_[kThreads];
  };

  /// Begins to copy 16 bytes from memory into shared memory, both at 16 bytes; zeros unless `real`, where `from` is any
  /// address in memory. Until the thread waits there are no numbers.
  void copy_sixteen(int thread, void* to, const void* from, bool real) {
    Copy copy{to, {}};
    if (real) std::memcpy(copy.bytes, from, sizeof copy.bytes);
    std::memset(to, 0xff, sizeof copy.bytes);
    copies_[thread].push_back(copy);
  }
  /// The thread's copies are there; for others when the phase is over.
  void wait_for_copies(int thread) {
    for (const Copy& copy : copies_[thread]) std::memcpy(copy.to, copy.bytes, sizeof copy.bytes);
    copies_[thread].clear();
  }

 private:
  struct Copy {
    void* to;
    unsigned char bytes[16];
  };
  Sequence sequence_;
  std::vector<int64_t> threads_, lanes_;
  std::vector<Copy> copies_[kThreads];
};

}  // namespace mformer::kernels::cuda
