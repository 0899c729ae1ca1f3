#include <c10/util/BFloat16.h>

#include <algorithm>
#include <type_traits>

#include "kernels/cpu/matrix_products.h"
#include "kernels/cpu/panel_product.h"
#include "kernels/cpu/tasks.h"

namespace mformer::kernels::cpu {
namespace {

/// Rows of the factors at a time.
constexpr int64_t kRowsPerChunk = 256;
/// The most rows of a gradient that share a packing of dy. In bfloat16 columns of x are packed, too, for all columns of
/// the gradient that a task has, so these are more there: the panels of dy take 256 KB of the second-level cache.
constexpr int64_t kMostIns = 512;
template <typename T>
constexpr int64_t kMostOuts = std::is_same_v<T, float> ? 256 : 512;

// What scratch() buffers are for.
enum OuterBuffer { kDyPanels, kOuterSums, kLeftRows };

/// The size of equal parts of `all`, each of whole panels and at most `most`.
int64_t equal_parts(int64_t all, int64_t most) {
  const int64_t parts = std::max<int64_t>(1, (all + most - 1) / most);
  return (all + parts * kPanelColumns - 1) / (parts * kPanelColumns) * kPanelColumns;
}

/// A part of a gradient.
struct OuterTask {
  size_t product;
  int64_t first_in, end_in, first_out, end_out;
};

template <typename T>
void append_tasks(size_t index, const OuterProduct& p, std::vector<OuterTask>& tasks) {
  const int64_t ins = equal_parts(p.in, kMostIns), outs = equal_parts(p.out, kMostOuts<T>);
  for (int64_t in = 0; in < p.in; in += ins) {
    for (int64_t out = 0; out < p.out; out += outs) {
      tasks.push_back({index, in, std::min(in + ins, p.in), out, std::min(out + outs, p.out)});
    }
  }
}

/// A chunk of the factors' rows for one task.
template <typename T>
struct OuterChunk {
  const OuterProduct& p;
  const OuterTask& task;
  int64_t row, rows;
  T* panels;  // of dy

  T* panel(int64_t out) const { return panels + (out - task.first_out) / kPanelColumns * panel_size<T>(kRowsPerChunk); }
  const T* x(int64_t in) const { return static_cast<const T*>(p.x) + row * p.in + in; }

  void pack_dy() const {
    for (int64_t out = task.first_out; out < task.end_out; out += kPanelColumns) {
      const T* dy = static_cast<const T*>(p.dy) + row * p.out + out;
      const int64_t columns = std::min(kPanelColumns, task.end_out - out);
      if constexpr (std::is_same_v<T, float>) {
        panel_kernels().pack(rows, columns, dy, p.out, panel(out));
      } else {
        panel_kernels().pack_bfloat16(rows, columns, dy, p.out, panel(out));
      }
    }
  }

  /// Columns of x as the rows of a left factor: float32 where they lie, bfloat16 as a copy.
  LeftFactor<T> left_rows(int64_t in, int64_t ins) const {
    if constexpr (std::is_same_v<T, float>) {
      return {x(in), 1, p.in};
    } else {
      T* room = scratch<T, kLeftRows>(transposed_room(kRowsPerChunk));
      return panel_kernels().transposed_left(rows, ins, x(in), p.in, room);
    }
  }
};

void multiply_outer(int64_t ins, int64_t rows, int64_t outs, const LeftFactor<float>& left, const float* panel,
                    const Target& to) {
  panel_kernels().float32(ins, rows, outs, left, panel, kPanelColumns, to);
}
void multiply_outer(int64_t ins, int64_t rows, int64_t outs, const LeftFactor<c10::BFloat16>& left,
                    const c10::BFloat16* panel, const Target& to) {
  panel_kernels().bfloat16(ins, rows, outs, left, panel, to);
}

void add_rows(int64_t rows, int64_t columns, const float* sums, bool add, float* dw, int64_t dw_row) {
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < columns; ++c) {
      dw[r * dw_row + c] = sums[r * kPanelColumns + c] + (add ? dw[r * dw_row + c] : 0.0F);
    }
  }
}

/// Up to 64 rows of dw.
template <typename T>
void run_outer_rows(const OuterChunk<T>& chunk, int64_t in, int64_t ins, bool add) {
  const OuterProduct& p = chunk.p;
  const LeftFactor<T> left = chunk.left_rows(in, ins);
  float* sums = scratch<float, kOuterSums>(kPanelColumns * kPanelColumns);
  for (int64_t out = chunk.task.first_out; out < chunk.task.end_out; out += kPanelColumns) {
    const int64_t outs = std::min(kPanelColumns, chunk.task.end_out - out), width = whole_vectors(outs);
    float* dw = p.dw + in * p.out + out;
    if (width == outs) {
      multiply_outer(ins, chunk.rows, width, left, chunk.panel(out), {dw, p.out, add});
    } else {
      multiply_outer(ins, chunk.rows, width, left, chunk.panel(out), {sums, kPanelColumns});
      add_rows(ins, outs, sums, add, dw, p.out);
    }
  }
}

template <typename T>
void run_outer(const OuterProduct& p, const OuterTask& task) {
  T* panels = scratch<T, kDyPanels>(kMostOuts<T> / kPanelColumns * panel_size<T>(kRowsPerChunk));
  for (int64_t row = 0; row < p.rows; row += kRowsPerChunk) {
    const OuterChunk<T> chunk{p, task, row, std::min(kRowsPerChunk, p.rows - row), panels};
    chunk.pack_dy();
    for (int64_t in = task.first_in; in < task.end_in; in += kPanelColumns) {
      run_outer_rows(chunk, in, std::min(kPanelColumns, task.end_in - in), p.add || row > 0);
    }
  }
}

template <typename T>
void all_outer_products(const std::vector<OuterProduct>& list) {
  std::vector<OuterTask> tasks;
  int64_t operations = 0;
  for (size_t p = 0; p < list.size(); ++p) {
    append_tasks<T>(p, list[p], tasks);
    operations += 2 * list[p].rows * list[p].in * list[p].out;
  }
  for_each_task(static_cast<int64_t>(tasks.size()), operations,
                [&](int64_t i) { run_outer<T>(list[tasks[i].product], tasks[i]); });
}

}  // namespace

void outer_products(at::ScalarType dtype, const std::vector<OuterProduct>& list) {
  dtype == at::kFloat ? all_outer_products<float>(list) : all_outer_products<c10::BFloat16>(list);
}

}  // namespace mformer::kernels::cpu
