#pragma once

#include <ATen/Parallel.h>

namespace mformer::testing {

/// The number of threads that LibTorch computes with, for the lifetime of this object.
class ThreadCount {
 public:
  explicit ThreadCount(int threads) : before_(at::get_num_threads()) { at::set_num_threads(threads); }
  ~ThreadCount() { at::set_num_threads(before_); }
  ThreadCount(const ThreadCount&) = delete;
  ThreadCount& operator=(const ThreadCount&) = delete;

 private:
  int before_;
};

}  // namespace mformer::testing
