#include "kernels/cpu/block_matrix.h"

#include <algorithm>

#include "kernels/cpu/row_steps.h"
#include "kernels/cpu/tasks.h"

namespace mformer::kernels::cpu {
namespace {

using c10::BFloat16;

enum BlockBuffer { kWidenedRow, kWidenedPanel };

/// Rows that a task quantises.
constexpr int64_t kQuantisedTogether = 16;

/// Rows from which on widening a panel for the tiles costs less than they save.
constexpr int64_t kRowsForTiles = 16;

/// Rows of a panel that are widened at a time: 128 KB of bfloat16 in the second-level cache.
constexpr int64_t kWidenedInner = 1024;

/// Rows times one panel, widened in scratch.
void multiply_by_tiles(const BFloat16* x, const BlockMatrix& w, const uint8_t* panel, int64_t rows, int64_t columns,
                       Target to) {
  const auto widen = w.bits == 8 ? block_kernels().widen8 : block_kernels().widen4;
  BFloat16* widened = scratch<BFloat16, kWidenedPanel>(panel_size<BFloat16>(kWidenedInner));
  for (int64_t first = 0; first < w.inner; first += kWidenedInner) {
    const int64_t inner = std::min(kWidenedInner, w.inner - first);
    widen(inner / kInputsPerGroup, panel + first / kInputsPerGroup * group_bytes(w.bits), widened);
    panel_kernels().bfloat16(rows, inner, columns, {x + first, w.inner, 2}, widened, to);
    to.add = true;
  }
}

}  // namespace

QuantisedRows BlockRows::get(at::ScalarType dtype, const void* x, int64_t rows, int64_t inner) {
  if (dtype == at::kBFloat16 && rows >= kRowsForTiles && inner % kInputsPerGroup == 0 && panel_kernels().tiles)
    return {};
  for (const Made& one : made_) {
    if (one.x == x && one.rows == rows && one.inner == inner) return one.codes;
  }
  const int64_t groups = (inner + kInputsPerGroup - 1) / kInputsPerGroup, all = rows * groups;
  auto* codes = bytes_.emplace_back(all * kInputsPerGroup).data();
  auto* scale = numbers_.emplace_back(3 * all).data();
  auto* sum = reinterpret_cast<int32_t*>(scale + 2 * all);
  for_each_task((rows + kQuantisedTogether - 1) / kQuantisedTogether, rows * inner * 8, [&](int64_t task) {
    for (int64_t row = task * kQuantisedTogether; row < std::min(rows, (task + 1) * kQuantisedTogether); ++row) {
      const auto* values = static_cast<const float*>(x) + row * inner;
      if (dtype == at::kBFloat16) {
        float* widened = scratch<float, kWidenedRow>(inner);
        widen_row(static_cast<const BFloat16*>(x) + row * inner, inner, widened);
        values = widened;
      }
      const int64_t at = row * groups;
      block_kernels().quantise(inner, values, {codes + at * kInputsPerGroup, scale + at, scale + all + at, sum + at});
    }
  });
  made_.push_back({x, rows, inner, {codes, scale, scale + all, sum, groups}});
  return made_.back().codes;
}

void multiply_blocks(const void* x, const QuantisedRows& codes, const BlockMatrix& w, int64_t first, int64_t rows,
                     int64_t column, Target to) {
  const int64_t groups = (w.inner + kInputsPerGroup - 1) / kInputsPerGroup;
  const uint8_t* panel = w.panels + column / kPanelColumns * groups * group_bytes(w.bits);
  if (codes.groups == 0) {
    const int64_t columns = whole_vectors(std::min(kPanelColumns, w.columns - column));
    return multiply_by_tiles(static_cast<const BFloat16*>(x) + first * w.inner, w, panel, rows, columns, to);
  }
  const auto product = w.bits == 8 ? block_kernels().product8 : block_kernels().product4;
  product(rows, codes.from(first), panel, to);
}

}  // namespace mformer::kernels::cpu
