#pragma once

#include <ATen/Parallel.h>

#include <algorithm>
#include <cstdint>

namespace mformer::kernels::cpu {

/// body(row) for all rows, in parallel where they are many.
template <typename Body>
void for_each_row(int64_t rows, int64_t width, const Body& body) {
  constexpr int64_t kValuesPerThread = 32768;  // some ten microseconds: what a parallel region costs at worst
  const int64_t grain = std::max<int64_t>(1, kValuesPerThread / std::max<int64_t>(1, width));
  at::parallel_for(0, rows, grain, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) body(row);
  });
}

}  // namespace mformer::kernels::cpu
