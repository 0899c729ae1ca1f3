#include "kernels/cpu/matrix_products.h"

#include <c10/util/BFloat16.h>

#include <algorithm>
#include <type_traits>

#include "kernels/cpu/panel_product.h"
#include "kernels/cpu/tasks.h"

namespace mformer::kernels::cpu {
namespace {

using c10::BFloat16;

/// Rows that share one packing of a panel: many enough to make it cheap, few enough to stay in the second-level cache.
constexpr int64_t kRowsPerTask = 512;
/// Rows of sums kept in the first-level cache on their way to another dtype.
constexpr int64_t kRowsPerBlock = 48;
/// Rows of a weight gradient's factors at a time, and panels that share a packing of x.
constexpr int64_t kRowsPerChunk = 256;
constexpr int64_t kPanelsPerTask = 4;

// What scratch() buffers are for.
enum Buffer { kPanelBuffer, kSumBuffer, kLeftBuffer };

int64_t divided_up(int64_t a, int64_t b) {
  return (a + b - 1) / b;
}

int64_t panels_of(int64_t columns) {
  return divided_up(columns, kPanelColumns);
}

template <typename T>
void pack(const RightMatrix& w, int64_t column, T* panel) {
  const int64_t columns = std::min(kPanelColumns, w.columns - column);
  const PanelKernels& kernels = panel_kernels();
  const bool transposed = w.order == RightMatrix::Order::transposed;
  const int64_t first = transposed ? column * w.inner : column, stride = transposed ? w.inner : w.columns;
  if constexpr (std::is_same_v<T, float>) {
    const float* from = static_cast<const float*>(w.data) + first;
    (transposed ? kernels.pack_transposed : kernels.pack)(w.inner, columns, from, stride, panel);
  } else if (w.dtype == at::kFloat) {
    const float* from = static_cast<const float*>(w.data) + first;
    (transposed ? kernels.pack_transposed_rounded : kernels.pack_rounded)(w.inner, columns, from, stride, panel);
  } else {
    const BFloat16* from = static_cast<const BFloat16*>(w.data) + first;
    (transposed ? kernels.pack_transposed_bfloat16 : kernels.pack_bfloat16)(w.inner, columns, from, stride, panel);
  }
}

/// The panel that begins at `column`: where it lies, or packed into scratch.
template <typename T>
const T* panel_at(const RightMatrix& w, int64_t column) {
  const int64_t size = panel_size<T>(w.inner);
  if (w.order == RightMatrix::Order::panels && w.dtype != at::kChar) {
    return static_cast<const T*>(w.data) + column / kPanelColumns * size;
  }
  T* panel = scratch<T, kPanelBuffer>(size);
  if (w.dtype == at::kChar) {
    const auto* from = static_cast<const int8_t*>(w.data) + column * w.inner;
    if constexpr (std::is_same_v<T, float>) {
      panel_kernels().widen(w.inner, from, panel);
    } else {
      panel_kernels().widen_bfloat16(w.inner, from, panel);
    }
  } else {
    pack(w, column, panel);
  }
  return panel;
}

void multiply(int64_t rows, int64_t inner, int64_t columns, const float* x, const float* panel, const Target& to) {
  panel_kernels().float32(rows, inner, columns, {x, inner, 1}, panel, kPanelColumns, to);
}
void multiply(int64_t rows, int64_t inner, int64_t columns, const BFloat16* x, const BFloat16* panel,
              const Target& to) {
  panel_kernels().bfloat16(rows, inner, columns, {x, inner, 2}, panel, to);
}

/// sums [rows, 64] → y, scaled, with bias.
template <typename T>
void finish(const Product& p, int64_t column, int64_t rows, int64_t columns, float* sums, T* y) {
  for (int64_t r = 0; r < rows && (p.w.scale != nullptr || p.bias != nullptr); ++r) {
    float* sum = sums + r * kPanelColumns;
    for (int64_t c = 0; c < columns && p.w.scale != nullptr; ++c) sum[c] *= p.w.scale[column + c];
    for (int64_t c = 0; c < columns && p.bias != nullptr; ++c) sum[c] += p.bias[column + c];
  }
  if constexpr (std::is_same_v<T, float>) {
    for (int64_t r = 0; r < rows; ++r) std::copy_n(sums + r * kPanelColumns, columns, y + r * p.w.columns);
  } else {
    panel_kernels().round(rows, columns, sums, y, p.w.columns);
  }
}

/// A few rows times int8: the panel is widened in registers, so that memory is read once and nothing is written.
template <typename T>
void multiply_int8(const Product& p, int64_t column, int64_t rows, const T* x, float* sums) {
  const int64_t inner = p.w.inner;
  const float* left;
  if constexpr (std::is_same_v<T, float>) {
    left = x;
  } else {
    float* widened = scratch<float, kLeftBuffer>(rows * inner);
    std::copy_n(x, rows * inner, widened);
    left = widened;
  }
  const auto* panel = static_cast<const int8_t*>(p.w.data) + column * inner;
  panel_kernels().int8(rows, inner, kPanelColumns, {left, inner, 1}, panel, {sums, kPanelColumns});
}

/// Rows up to which int8 is widened in registers.
constexpr int64_t kFewRows = 6;

template <typename T>
void run(const Product& p, int64_t first_row, int64_t column) {
  const int64_t rows = std::min(kRowsPerTask, p.rows - first_row);
  const int64_t columns = std::min(kPanelColumns, p.w.columns - column), width = whole_vectors(columns);
  const T* x = static_cast<const T*>(p.x) + first_row * p.w.inner;
  T* y = static_cast<T*>(p.y) + first_row * p.w.columns + column;
  float* sums = scratch<float, kSumBuffer>(kRowsPerBlock * kPanelColumns);
  if (p.w.dtype == at::kChar && rows <= kFewRows) {
    multiply_int8(p, column, rows, x, sums);
    return finish(p, column, rows, columns, sums, y);
  }
  const T* panel = panel_at<T>(p.w, column);
  if constexpr (std::is_same_v<T, float>) {
    if (p.w.scale == nullptr && p.bias == nullptr && width == columns) {
      return multiply(rows, p.w.inner, width, x, panel, {y, p.w.columns});
    }
  }
  for (int64_t r = 0; r < rows; r += kRowsPerBlock) {
    const int64_t block = std::min(kRowsPerBlock, rows - r);
    multiply(block, p.w.inner, width, x + r * p.w.inner, panel, {sums, kPanelColumns});
    finish(p, column, block, columns, sums, y + r * p.w.columns);
  }
}

struct Task {
  size_t product;
  int64_t row, column;
};

template <typename T>
void run_outer(const OuterProduct& p, int64_t first_column) {
  const PanelKernels& kernels = panel_kernels();
  const T *x = static_cast<const T*>(p.x), *dy = static_cast<const T*>(p.dy);
  const int64_t end = std::min(first_column + kPanelsPerTask * kPanelColumns, p.out);
  const int64_t size = panel_size<T>(kRowsPerChunk);
  T* panels = scratch<T, kPanelBuffer>(kPanelsPerTask * size);
  float* sums = scratch<float, kSumBuffer>(kPanelColumns * kPanelColumns);
  for (int64_t row = 0; row < p.rows; row += kRowsPerChunk) {
    const int64_t rows = std::min(kRowsPerChunk, p.rows - row);
    const bool add = p.add || row > 0;
    for (int64_t column = first_column; column < end; column += kPanelColumns) {
      const RightMatrix chunk{dy + row * p.out, std::is_same_v<T, float> ? at::kFloat : at::kBFloat16, rows, p.out};
      pack(chunk, column, panels + (column - first_column) / kPanelColumns * size);
    }
    for (int64_t i = 0; i < p.in; i += kPanelColumns) {
      const int64_t ins = std::min(kPanelColumns, p.in - i);
      // In bfloat16 the sum runs over pairs of rows, which must be neighbours: x is packed as a panel, too.
      T* left = nullptr;
      if constexpr (!std::is_same_v<T, float>) {
        left = scratch<T, kLeftBuffer>(size);
        kernels.pack_bfloat16(rows, ins, x + row * p.in + i, p.in, left);
      }
      for (int64_t column = first_column; column < end; column += kPanelColumns) {
        const int64_t columns = std::min(kPanelColumns, end - column), width = whole_vectors(columns);
        const T* panel = panels + (column - first_column) / kPanelColumns * size;
        float* dw = p.dw + i * p.out + column;
        const bool direct = width == columns;
        const Target to = direct ? Target{dw, p.out, add} : Target{sums, kPanelColumns};
        if constexpr (std::is_same_v<T, float>) {
          kernels.float32(ins, rows, width, {x + row * p.in + i, 1, p.in}, panel, kPanelColumns, to);
        } else {
          kernels.bfloat16(ins, (rows + 1) / 2 * 2, width, {left, 2, 2 * kPanelColumns}, panel, to);
        }
        for (int64_t r = 0; r < ins && !direct; ++r) {
          for (int64_t c = 0; c < columns; ++c) {
            dw[r * p.out + c] = sums[r * kPanelColumns + c] + (add ? dw[r * p.out + c] : 0.0F);
          }
        }
      }
    }
  }
}

}  // namespace

void products(at::ScalarType dtype, const std::vector<Product>& list) {
  std::vector<Task> tasks;
  int64_t operations = 0;
  for (size_t p = 0; p < list.size(); ++p) {
    for (int64_t row = 0; row < list[p].rows; row += kRowsPerTask) {
      for (int64_t column = 0; column < list[p].w.columns; column += kPanelColumns) tasks.push_back({p, row, column});
    }
    operations += 2 * list[p].rows * list[p].w.inner * list[p].w.columns;
  }
  for_each_task(static_cast<int64_t>(tasks.size()), operations, [&](int64_t i) {
    const Task& task = tasks[i];
    if (dtype == at::kFloat) {
      run<float>(list[task.product], task.row, task.column);
    } else {
      run<BFloat16>(list[task.product], task.row, task.column);
    }
  });
}

void outer_products(at::ScalarType dtype, const std::vector<OuterProduct>& list) {
  std::vector<Task> tasks;
  int64_t operations = 0;
  for (size_t p = 0; p < list.size(); ++p) {
    for (int64_t column = 0; column < list[p].out; column += kPanelsPerTask * kPanelColumns) {
      tasks.push_back({p, 0, column});
    }
    operations += 2 * list[p].rows * list[p].in * list[p].out;
  }
  for_each_task(static_cast<int64_t>(tasks.size()), operations, [&](int64_t i) {
    if (dtype == at::kFloat) {
      run_outer<float>(list[tasks[i].product], tasks[i].column);
    } else {
      run_outer<BFloat16>(list[tasks[i].product], tasks[i].column);
    }
  });
}

int64_t panels_bytes(int64_t inner, int64_t columns, at::ScalarType dtype) {
  const int64_t panels = panels_of(columns);
  if (dtype == at::kChar) return panels * panel_size<int8_t>(inner);
  return dtype == at::kFloat ? 4 * panels * panel_size<float>(inner) : 2 * panels * panel_size<BFloat16>(inner);
}

void write_panels(const RightMatrix& w, at::ScalarType dtype, void* to) {
  for_each_task(panels_of(w.columns), w.inner * w.columns, [&](int64_t panel) {
    if (dtype == at::kFloat) {
      pack(w, panel * kPanelColumns, static_cast<float*>(to) + panel * panel_size<float>(w.inner));
    } else {
      pack(w, panel * kPanelColumns, static_cast<BFloat16*>(to) + panel * panel_size<BFloat16>(w.inner));
    }
  });
}

}  // namespace mformer::kernels::cpu
