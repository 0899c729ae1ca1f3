#include "kernels/cpu/matrix_products.h"

#include <c10/util/BFloat16.h>

#include <algorithm>
#include <type_traits>

#include "kernels/cpu/block_matrix.h"
#include "kernels/cpu/panel_product.h"
#include "kernels/cpu/row_steps.h"
#include "kernels/cpu/tasks.h"

namespace mformer::kernels::cpu {
namespace {

using c10::BFloat16;

/// Rows that share one packing of a panel: many enough to make it cheap, few enough to stay in the second-level cache.
constexpr int64_t kRowsPerTask = 1024;
/// Rows of a panel at a time: 256 KB of float32 in the second-level cache. A multiple of two.
constexpr int64_t kInnerPerBlock = 1024;

// What scratch() buffers are for.
enum Buffer { kPanelBuffer, kSumBuffer, kLeftBuffer, kTermBuffer };

int64_t divided_up(int64_t a, int64_t b) {
  return (a + b - 1) / b;
}

int64_t panels_of(int64_t columns) {
  return divided_up(columns, kPanelColumns);
}

/// Packs rows `first` … `first + inner` − 1 of the panel that begins at `column`.
template <typename T>
void pack(const RightMatrix& w, int64_t column, int64_t first, int64_t inner, T* panel) {
  const int64_t columns = std::min(kPanelColumns, w.columns - column);
  const PanelKernels& kernels = panel_kernels();
  const bool transposed = w.order == RightMatrix::Order::transposed;
  const int64_t stride = transposed ? w.inner : w.columns;
  const int64_t at = transposed ? column * stride + first : first * stride + column;
  if constexpr (std::is_same_v<T, float>) {
    const float* from = static_cast<const float*>(w.data) + at;
    (transposed ? kernels.pack_transposed : kernels.pack)(inner, columns, from, stride, panel);
  } else if (w.dtype == at::kFloat) {
    const float* from = static_cast<const float*>(w.data) + at;
    (transposed ? kernels.pack_transposed_rounded : kernels.pack_rounded)(inner, columns, from, stride, panel);
  } else {
    const BFloat16* from = static_cast<const BFloat16*>(w.data) + at;
    (transposed ? kernels.pack_transposed_bfloat16 : kernels.pack_bfloat16)(inner, columns, from, stride, panel);
  }
}

/// The same rows of that panel: where they lie, or packed into scratch. `first` is even.
template <typename T>
const T* panel_at(const RightMatrix& w, int64_t column, int64_t first, int64_t inner) {
  const int64_t skipped = column / kPanelColumns * panel_size<T>(w.inner) + first * kPanelColumns;
  if (w.order == RightMatrix::Order::panels && w.dtype != at::kChar) return static_cast<const T*>(w.data) + skipped;
  T* panel = scratch<T, kPanelBuffer>(panel_size<T>(inner));
  if (w.dtype == at::kChar) {
    const auto* from = static_cast<const int8_t*>(w.data) + column * w.inner + first * kPanelColumns;
    if constexpr (std::is_same_v<T, float>) {
      panel_kernels().widen(inner, from, panel);
    } else {
      panel_kernels().widen_bfloat16(inner, from, panel);
    }
  } else {
    pack(w, column, first, inner, panel);
  }
  return panel;
}

void multiply(int64_t rows, int64_t inner, int64_t columns, const LeftFactor<float>& x, const float* panel,
              const Target& to) {
  panel_kernels().float32(rows, inner, columns, x, panel, kPanelColumns, to);
}
void multiply(int64_t rows, int64_t inner, int64_t columns, const LeftFactor<BFloat16>& x, const BFloat16* panel,
              const Target& to) {
  panel_kernels().bfloat16(rows, inner, columns, x, panel, to);
}

/// sums [rows, 64] times factor [columns] of these columns, or plus it.
void scale_sums(int64_t rows, int64_t columns, const float* factor, float* sums) {
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < columns; ++c) sums[r * kPanelColumns + c] *= factor[c];
  }
}
void add_to_sums(int64_t rows, int64_t columns, const float* bias, float* sums) {
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < columns; ++c) sums[r * kPanelColumns + c] += bias[c];
  }
}

/// sums [rows, 64] → y, with bias.
template <typename Y>
void finish(const Product& p, int64_t column, int64_t rows, int64_t columns, float* sums, Y* y) {
  if (p.bias != nullptr) add_to_sums(rows, columns, p.bias + column, sums);
  if constexpr (std::is_same_v<Y, float>) {
    for (int64_t r = 0; r < rows; ++r) std::copy_n(sums + r * kPanelColumns, columns, y + r * p.w.columns);
  } else {
    panel_kernels().round(rows, columns, sums, y, p.w.columns);
  }
}

/// A few rows times int8: the panel is widened in registers, so that memory is read once and nothing is written.
template <typename T>
void multiply_int8(const RightMatrix& w, int64_t column, int64_t rows, const T* x, const Target& to) {
  const float* left;
  if constexpr (std::is_same_v<T, float>) {
    left = x;
  } else {
    float* widened = scratch<float, kLeftBuffer>(rows * w.inner);
    widen_row(x, rows * w.inner, widened);
    left = widened;
  }
  const auto* panel = static_cast<const int8_t*>(w.data) + column * w.inner;
  panel_kernels().int8(rows, w.inner, kPanelColumns, {left, w.inner, 1}, panel, to);
}

/// Rows up to which int8 is widened in registers.
constexpr int64_t kFewRows = 6;

BlockMatrix blocks_of(const RightMatrix& w) {
  return {static_cast<const uint8_t*>(w.data), w.bits, w.inner, w.columns};
}

/// Rows of x times one panel, up to its scale, into `to`.
template <typename T>
void multiply_panel(const Term& term, int64_t first_row, int64_t rows, int64_t column, Target to) {
  const RightMatrix& w = term.w;
  if (w.bits != 0) return multiply_blocks(term.x, term.codes, blocks_of(w), first_row, rows, column, to);
  const T* x = static_cast<const T*>(term.x) + first_row * w.inner;
  const int64_t width = whole_vectors(std::min(kPanelColumns, w.columns - column));
  if (w.dtype == at::kChar && rows <= kFewRows) return multiply_int8(w, column, rows, x, to);
  for (int64_t first = 0; first < w.inner; first += kInnerPerBlock) {
    const int64_t block = std::min(kInnerPerBlock, w.inner - first);
    const LeftFactor<T> left{x + first, w.inner, std::is_same_v<T, float> ? 1 : 2};
    multiply(rows, block, width, left, panel_at<T>(w, column, first, block), to);
    to.add = true;
  }
}

/// Adds the other terms to those of the first, in order.
template <typename T>
void add_terms(const Product& p, int64_t first_row, int64_t rows, int64_t column, Target to) {
  const int64_t columns = std::min(kPanelColumns, p.w.columns - column);
  to.add = true;
  for (const Term& term : p.more) {
    if (term.w.scale == nullptr) {
      multiply_panel<T>(term, first_row, rows, column, to);
      continue;
    }
    float* sums = scratch<float, kTermBuffer>(kRowsPerTask * kPanelColumns);
    multiply_panel<T>(term, first_row, rows, column, {sums, kPanelColumns});
    scale_sums(rows, columns, term.w.scale + column, sums);
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t c = 0; c < columns; ++c) to.data[r * to.row + c] += sums[r * kPanelColumns + c];
    }
  }
}

/// A block of rows times one panel, while it is in the cache.
template <typename T, typename Y>
void run(const Product& p, int64_t first_row, int64_t column) {
  const int64_t rows = std::min(kRowsPerTask, p.rows - first_row);
  const int64_t columns = std::min(kPanelColumns, p.w.columns - column);
  Y* y = static_cast<Y*>(p.y) + first_row * p.w.columns + column;
  float* sums = scratch<float, kSumBuffer>(kRowsPerTask * kPanelColumns);
  Target to{sums, kPanelColumns};
  bool direct = false;
  if constexpr (std::is_same_v<Y, float>) {
    const int64_t written = p.w.bits != 0 ? kPanelColumns : whole_vectors(columns);
    direct = p.w.scale == nullptr && p.bias == nullptr && written == columns && p.w.dtype != at::kChar;
    if (direct) to = {y, p.w.columns};
  }
  multiply_panel<T>({p.x, p.w, p.codes}, first_row, rows, column, to);
  if (p.w.scale != nullptr) scale_sums(rows, columns, p.w.scale + column, sums);
  add_terms<T>(p, first_row, rows, column, to);
  if (!direct) finish(p, column, rows, columns, sums, y);
}

void run_as(at::ScalarType dtype, const Product& p, int64_t row, int64_t column) {
  if (dtype == at::kFloat) {
    run<float, float>(p, row, column);
  } else if (p.float32) {
    run<BFloat16, float>(p, row, column);
  } else {
    run<BFloat16, BFloat16>(p, row, column);
  }
}

/// Where a task begins and ends in its product.
struct Task {
  size_t product;
  int64_t row, column, end_column;
};

/// Neighbouring panels that a task reads one after the other where rows are few and all waits for memory: the longer a
/// thread reads on, the better the processor foresees what comes. Enough tasks are left to share out.
int64_t panels_per_task(const std::vector<Product>& list) {
  constexpr int64_t kMost = 8, kTasksPerThread = 4;
  int64_t panels = 0;
  for (const Product& p : list) panels += p.rows <= kFewRows ? panels_of(p.w.columns) : 0;
  return std::clamp<int64_t>(panels / (kTasksPerThread * at::get_num_threads()), 1, kMost);
}

void products_of(at::ScalarType dtype, const std::vector<Product>& list) {
  const int64_t together = panels_per_task(list);
  std::vector<Task> tasks;
  int64_t operations = 0;
  for (size_t p = 0; p < list.size(); ++p) {
    const int64_t columns = list[p].rows <= kFewRows ? together * kPanelColumns : kPanelColumns;
    for (int64_t row = 0; row < list[p].rows; row += kRowsPerTask) {
      for (int64_t column = 0; column < list[p].w.columns; column += columns) {
        tasks.push_back({p, row, column, std::min(column + columns, list[p].w.columns)});
      }
    }
    int64_t inner = list[p].w.inner;
    for (const Term& term : list[p].more) inner += term.w.inner;
    operations += 2 * list[p].rows * inner * list[p].w.columns;
  }
  for_each_task(static_cast<int64_t>(tasks.size()), operations, [&](int64_t i) {
    const Task& task = tasks[i];
    const Product& product = list[task.product];
    for (int64_t column = task.column; column < task.end_column; column += kPanelColumns) {
      run_as(dtype, product, task.row, column);
    }
  });
}

/// Gives every product with quantised weights its rows as codes, which lie in `rows`.
std::vector<Product> with_codes(at::ScalarType dtype, std::vector<Product> list, BlockRows& rows) {
  const auto codes_of = [&](const void* x, int64_t count, const RightMatrix& w) {
    return w.bits == 0 ? QuantisedRows{} : rows.get(dtype, x, count, w.inner);
  };
  for (Product& p : list) {
    p.codes = codes_of(p.x, p.rows, p.w);
    for (Term& term : p.more) term.codes = codes_of(term.x, p.rows, term.w);
  }
  return list;
}

bool has_blocks(const std::vector<Product>& list) {
  return std::any_of(list.begin(), list.end(), [](const Product& p) {
    return p.w.bits != 0 || std::any_of(p.more.begin(), p.more.end(), [](const Term& t) { return t.w.bits != 0; });
  });
}

}  // namespace

void products(at::ScalarType dtype, const std::vector<Product>& list) {
  if (!has_blocks(list)) return products_of(dtype, list);
  BlockRows rows;
  products_of(dtype, with_codes(dtype, list, rows));
}

void product_panel(at::ScalarType dtype, const Product& p, int64_t column) {
  run_as(dtype, p, 0, column);
}

int64_t panels_bytes(int64_t inner, int64_t columns, at::ScalarType dtype) {
  const int64_t panels = panels_of(columns);
  if (dtype == at::kChar) return panels * panel_size<int8_t>(inner);
  return dtype == at::kFloat ? 4 * panels * panel_size<float>(inner) : 2 * panels * panel_size<BFloat16>(inner);
}

void write_panels(const RightMatrix& w, at::ScalarType dtype, void* to) {
  for_each_task(panels_of(w.columns), w.inner * w.columns, [&](int64_t panel) {
    if (dtype == at::kFloat) {
      pack(w, panel * kPanelColumns, 0, w.inner, static_cast<float*>(to) + panel * panel_size<float>(w.inner));
    } else {
      pack(w, panel * kPanelColumns, 0, w.inner, static_cast<BFloat16*>(to) + panel * panel_size<BFloat16>(w.inner));
    }
  });
}

}  // namespace mformer::kernels::cpu
