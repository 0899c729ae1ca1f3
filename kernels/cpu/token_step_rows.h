#pragma once

#include <cstdint>
#include <type_traits>

#include "kernels/cpu/block_product.h"
#include "kernels/cpu/row_steps.h"
#include "kernels/cpu/tasks.h"

// Rows and memory of a token's step.
namespace mformer::kernels::cpu {

/// Scratch of a thread (tasks.h), beside that of the steps that it calls.
enum StepBuffer {
  kStepShared = 100,
  kStepRow,
  kStepExactRow,
  kStepCodes,
  kStepScales,
  kStepBefore,
  kStepWide,
  kStepProbabilities,
  kStepChosen,
  kStepGates
};

inline int64_t groups_for(int64_t inner) {
  return (inner + kInputsPerGroup - 1) / kInputsPerGroup;
}

/// Where `rows` rows of `inner` values lie as codes: `bytes` [rows, inner up to whole groups], `numbers` [3, rows,
/// groups].
struct RowCodes {
  RowCodes(int64_t count, int64_t inner, int8_t* bytes, float* numbers)
      : groups(groups_for(inner)),
        to{bytes, numbers, numbers + count * groups, reinterpret_cast<int32_t*>(numbers + 2 * count * groups)} {}

  QuantisedRows get() const { return {to.codes, to.scale, to.offset, to.sum, groups}; }
  /// From a group on, of all rows.
  QuantisedRowsTo at(int64_t group) const {
    return {to.codes + group * kInputsPerGroup, to.scale + group, to.offset + group, to.sum + group};
  }

  int64_t groups;
  QuantisedRowsTo to;
};

/// x [inner] as codes.
template <typename T>
void quantise_row(const T* x, int64_t inner, const QuantisedRowsTo& to) {
  if constexpr (std::is_same_v<T, float>) {
    block_kernels().quantise(inner, x, to);
  } else {
    float* wide = scratch<float, kStepWide>(inner);
    widen_row(x, inner, wide);
    block_kernels().quantise(inner, wide, to);
  }
}

/// x [rows, inner] as codes, in the calling thread's scratch until it asks again.
template <typename T>
QuantisedRows own_codes(const T* x, int64_t rows, int64_t inner) {
  const int64_t groups = rows * groups_for(inner);
  const RowCodes codes(rows, inner, scratch<int8_t, kStepCodes>(groups * kInputsPerGroup),
                       scratch<float, kStepScales>(3 * groups));
  for (int64_t r = 0; r < rows; ++r) quantise_row(x + r * inner, inner, codes.at(r * codes.groups));
  return codes.get();
}

/// Parts of one piece of memory, each from a cache line on.
class Parts {
 public:
  template <typename T>
  T* take(int64_t count) {
    const int64_t at = used_;
    used_ += (count * static_cast<int64_t>(sizeof(T)) + 63) / 64 * 64;
    return memory_ == nullptr ? nullptr : reinterpret_cast<T*>(memory_ + at);
  }
  int64_t used() const { return used_; }
  void lie_in(char* memory) { memory_ = memory, used_ = 0; }

 private:
  char* memory_ = nullptr;
  int64_t used_ = 0;
};

}  // namespace mformer::kernels::cpu
