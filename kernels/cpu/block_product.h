#pragma once

#include <c10/util/BFloat16.h>

#include <cstdint>
#include <vector>

#include "kernels/cpu/panel_product.h"

namespace mformer::kernels::cpu {

// Products of rows with weights of 8 or 4 bits, quantised in groups of 32 inputs (kernels/quantised_blocks.h). The rows
// are quantised too, to int8 with a scale for each of their groups: a group's sum is then exact, in whole numbers, and
// the groups are added up in float32, in ascending order.
//
// A panel is 64 columns, group after group. A group holds 32 inputs of all columns and then the columns' float16
// scales:
//
//   8 bits, 2176 bytes:  8 × [64 columns][4 inputs] of code + 128; 64 scales
//   4 bits, 1280 bytes:  4 × [64 columns][4 bytes], byte i of step s being input 8s + i in the low half and 8s + 4 + i
//   in
//                        the high half; 64 scales; 64 minima

inline constexpr int64_t kInputsPerGroup = 32;

/// Bytes of a group of a panel.
inline constexpr int64_t group_bytes(int bits) {
  return bits == 8 ? kPanelColumns * (kInputsPerGroup + 2) : kPanelColumns * (kInputsPerGroup / 2 + 4);
}

/// Rows in int8. Beyond the end of a row its last group holds zeros.
struct QuantisedRows {
  const int8_t* codes;  ///< [rows, groups, 32], −127 … 127
  const float* scale;   ///< [rows, groups]
  const float* offset;  ///< [rows, groups] scale · sum of the codes
  const int32_t* sum;   ///< [rows, groups] of the codes
  int64_t groups;

  QuantisedRows from(int64_t row) const {
    return {codes + row * groups * kInputsPerGroup, scale + row * groups, offset + row * groups, sum + row * groups,
            groups};
  }
};

/// Where they are written.
struct QuantisedRowsTo {
  int8_t* codes;
  float *scale, *offset;
  int32_t* sum;
};

/// One implementation, for one kind of processor. The whole numbers are the same in all; so are the float32 sums of
/// those that multiply and add in one step.
struct BlockKernels {
  const char* name;

  /// c [rows, 64] (+)= a · the panel of `bits`.
  void (*product8)(int64_t rows, const QuantisedRows& a, const uint8_t* panel, const Target& c);
  void (*product4)(int64_t rows, const QuantisedRows& a, const uint8_t* panel, const Target& c);

  /// One row of `inner` values: a group's scale is its largest magnitude / 127. What is not finite makes its group's
  /// scale NaN, and so the result.
  void (*quantise)(int64_t inner, const float* x, const QuantisedRowsTo& to);

  /// Groups of a panel as numbers: a bfloat16 panel of 32 · groups rows (panel_product.h).
  void (*widen8)(int64_t groups, const uint8_t* panel, c10::BFloat16* to);
  void (*widen4)(int64_t groups, const uint8_t* panel, c10::BFloat16* to);
};

/// The fastest that this processor runs.
const BlockKernels& block_kernels();

/// All that this processor runs, the fastest first: for tests.
std::vector<const BlockKernels*> available_block_kernels();

}  // namespace mformer::kernels::cpu
