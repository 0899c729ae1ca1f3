#include "kernels/cpu/dense_step.h"

#include <algorithm>
#include <cstring>
#include <type_traits>

#include "kernels/cpu/gated_activation.h"
#include "kernels/cpu/rms_norm.h"
#include "kernels/cpu/rotary.h"
#include "kernels/cpu/row_steps.h"
#include "kernels/cpu/softmax_forward.h"
#include "kernels/cpu/team.h"

namespace mformer::kernels::cpu {
namespace {

using c10::BFloat16;

/// Beside those of the steps that it calls.
enum StepBuffer { kStepShared = 100, kStepRow, kStepCodes, kStepScales, kStepBefore, kStepWide };

int64_t groups_for(int64_t inner) {
  return (inner + kInputsPerGroup - 1) / kInputsPerGroup;
}

/// A row as codes: where they lie.
struct RowCodes {
  QuantisedRowsTo to{};
  int64_t groups = 0;

  QuantisedRows get() const { return {to.codes, to.scale, to.offset, to.sum, groups}; }
};

/// Memory for a row of `inner` codes: `bytes` [inner up to whole groups], `numbers` [3 · groups].
RowCodes codes_in(int64_t inner, int8_t* bytes, float* numbers) {
  const int64_t groups = groups_for(inner);
  return {{bytes, numbers, numbers + groups, reinterpret_cast<int32_t*>(numbers + 2 * groups)}, groups};
}

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

/// One thread's view of the step. What lies between two phases is shared, but for rows that each thread makes for
/// itself: that takes less time than waiting for another.
template <typename T>
class Step {
 public:
  /// Values of T and float32 that the threads share.
  struct Shared {
    T *slots, *read, *raised, *hidden;
    float* sums;
    int8_t* hidden_codes;
    float* hidden_scales;
  };

  Step(const StepForm& form, int64_t cached, const float* cos, const float* sin, float* x, const Shared& shared,
       Team& team, int64_t thread)
      : form_(form), cached_(cached), cos_(cos), sin_(sin), x_(x), shared_(shared), team_(team), thread_(thread) {}

  void run(const StepLayer& layer) {
    const T* row = normed(layer.norm_1);
    product(layer.in, row, own_codes(row, layer.in.w), shared_.slots);
    team_.phase(thread_, layer.key_heads, [&](int64_t head) { attend(layer, head); });
    add_product(layer.out, shared_.read, own_codes(shared_.read, layer.out.w));
    row = normed(layer.norm_2);
    if (form_.slice_hidden % kPanelColumns != 0) {
      product(layer.up, row, own_codes(row, layer.up.w), shared_.raised);
      team_.phase(thread_, layer.slices,
                  [&](int64_t slice) { activate(slice * form_.slice_hidden, form_.slice_hidden); });
      add_product(layer.down, shared_.hidden, own_codes(shared_.hidden, layer.down.w));
      return;
    }
    raise(layer, row, own_codes(row, layer.up.w));
    const bool codes = layer.down.w.bits != 0;
    add_product(layer.down, shared_.hidden, codes ? hidden_codes(layer).get() : QuantisedRows{});
  }

 private:
  const T* normed(const StepNorm& norm) const {
    T* row = scratch<T, kStepRow>(form_.width);
    if (form_.rms) {
      rms_norm_row(x_, form_.width, norm.weight, static_cast<float>(form_.epsilon), row);
    } else {
      layer_norm_row(x_, form_.width, norm.weight, norm.bias, row);
    }
    return row;
  }

  static QuantisedRows own_codes(const T* row, const RightMatrix& w) {
    if (w.bits == 0) return {};
    const int64_t groups = groups_for(w.inner);
    const RowCodes codes = codes_in(w.inner, scratch<int8_t, kStepCodes>(groups * kInputsPerGroup),
                                    scratch<float, kStepScales>(3 * groups));
    quantise_row(row, w.inner, codes.to);
    return codes.get();
  }

  RowCodes hidden_codes(const StepLayer& layer) const {
    return codes_in(layer.slices * form_.slice_hidden, shared_.hidden_codes, shared_.hidden_scales);
  }

  static Product product_of(const StepMatrix& matrix, const T* row, const QuantisedRows& codes, void* y) {
    Product p{row, 1, matrix.w, y, matrix.bias};
    p.codes = codes;
    return p;
  }

  static int64_t panels(const RightMatrix& w) { return (w.columns + kPanelColumns - 1) / kPanelColumns; }

  void product(const StepMatrix& matrix, const T* row, const QuantisedRows& codes, T* y) {
    const Product p = product_of(matrix, row, codes, y);
    team_.phase(thread_, panels(matrix.w), [&](int64_t i) { product_panel(form_.dtype, p, i * kPanelColumns); });
  }

  /// Adds the product, and then the matrix's bias, to the residual stream.
  void add_product(const StepMatrix& matrix, const T* row, const QuantisedRows& codes) {
    Product p = product_of({matrix.w}, row, codes, shared_.sums);
    p.float32 = true;
    const auto scale = static_cast<float>(form_.residual_scale);
    team_.phase(thread_, panels(matrix.w), [&](int64_t i) {
      const int64_t column = i * kPanelColumns, columns = std::min(kPanelColumns, form_.width - column);
      product_panel(form_.dtype, p, column);
      add_scaled_row(shared_.sums + column, scale, columns, x_ + column);
      if (matrix.bias != nullptr) add_scaled_row(matrix.bias + column, scale, columns, x_ + column);
    });
  }

  /// Turns `heads` heads of a module's slots and norms them before, where the form has that.
  void place(T* heads, int64_t count, const float* norm) const {
    const int64_t size = form_.head_size;
    T* before = scratch<T, kStepBefore>(count * size);
    if (norm != nullptr) {
      for (int64_t h = 0; h < count; ++h) {
        std::copy_n(heads + h * size, size, before + h * size);
        rms_norm_row(before + h * size, size, norm, static_cast<float>(form_.epsilon), heads + h * size);
      }
    }
    if (cos_ == nullptr) return;
    std::copy_n(heads, count * size, before);
    rotate_heads(before, count, size / 2, cos_, sin_, false, heads);
  }

  /// What the queries of one head of keys read, whose key and value of this token go into the cache.
  void attend(const StepLayer& layer, int64_t head) const {
    const int64_t size = form_.head_size, row = (form_.queries + 2) * size;
    T* slots = shared_.slots + head * row;
    T *key = slots + form_.queries * size, *value = key + size;
    place(slots, form_.queries, layer.query_norm);
    place(key, 1, layer.key_norm);
    auto *keys = static_cast<T*>(layer.key), *values = static_cast<T*>(layer.value);
    const int64_t at = head * layer.head + cached_ * layer.position;
    std::copy_n(key, size, keys + at);
    std::copy_n(value, size, values + at);
    const Problem<T> problem{1,
                             1,
                             form_.queries,
                             layer.key_heads,
                             size,
                             cached_ + 1,
                             {shared_.slots, 0, size, row},
                             {keys, 0, layer.position, layer.head},
                             {values, 0, layer.position, layer.head},
                             nullptr,
                             form_.score_scale,
                             layer.window};
    softmax_decode_heads(problem, 0, head, 1, Strided<T>{shared_.read, 0, size, form_.queries * size});
  }

  /// The columns from `first` on of the hidden layer, which belong to one module.
  void activate(int64_t first, int64_t columns) const {
    T* to = shared_.hidden + first;
    if (form_.gated) {
      const T* gate = shared_.raised + first / form_.slice_hidden * form_.slice_hidden + first;
      gated_row(form_.activation, gate, gate + form_.slice_hidden, columns, to);
    } else {
      std::copy_n(shared_.raised + first, columns, to);
      activate_row(form_.activation, to, columns);
    }
  }

  /// The feed-forward modules' first maps, with the activation, 64 columns of the hidden layer a task: what is made of
  /// them needs no others.
  void raise(const StepLayer& layer, const T* row, const QuantisedRows& codes) {
    const int64_t hidden = form_.slice_hidden, in_slice = hidden / kPanelColumns;
    const Product p = product_of(layer.up, row, codes, shared_.raised);
    team_.phase(thread_, layer.slices * in_slice, [&](int64_t i) {
      if (form_.gated) {
        const int64_t gate = i / in_slice * 2 * hidden + i % in_slice * kPanelColumns;
        product_panel(form_.dtype, p, gate);
        product_panel(form_.dtype, p, gate + hidden);
      } else {
        product_panel(form_.dtype, p, i * kPanelColumns);
      }
      activate(i * kPanelColumns, kPanelColumns);
      if (layer.down.w.bits != 0) quantise_hidden(layer, i);
    });
  }

  /// Groups of a row are quantised one by one, so that a panel's can be before the others are there.
  void quantise_hidden(const StepLayer& layer, int64_t panel) const {
    const QuantisedRowsTo all = hidden_codes(layer).to;
    const int64_t first = panel * kPanelColumns, group = first / kInputsPerGroup;
    quantise_row(shared_.hidden + first, kPanelColumns,
                 {all.codes + first, all.scale + group, all.offset + group, all.sum + group});
  }

  const StepForm& form_;
  const int64_t cached_;
  const float *cos_, *sin_;
  float* x_;
  const Shared shared_;
  Team& team_;
  const int64_t thread_;
};

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

/// Room for the widest of the layers.
template <typename T>
typename Step<T>::Shared shared_in(const StepForm& form, const std::vector<StepLayer>& layers, Parts& parts) {
  int64_t slots = 0, read = 0, raised = 0, hidden = 0;
  for (const StepLayer& layer : layers) {
    slots = std::max(slots, layer.in.w.columns);
    read = std::max(read, layer.out.w.inner);
    raised = std::max(raised, layer.up.w.columns);
    hidden = std::max(hidden, layer.down.w.inner);
  }
  typename Step<T>::Shared shared;
  shared.slots = parts.take<T>(slots);
  shared.read = parts.take<T>(read);
  shared.raised = parts.take<T>(raised);
  shared.hidden = parts.take<T>(hidden);
  shared.sums = parts.take<float>(form.width);
  shared.hidden_codes = parts.take<int8_t>(hidden);
  shared.hidden_scales = parts.take<float>(3 * groups_for(hidden));
  return shared;
}

int64_t operations_of(const std::vector<StepLayer>& layers) {
  int64_t most = 0;
  for (const StepLayer& layer : layers) {
    int64_t operations = 0;
    for (const StepMatrix* m : {&layer.in, &layer.out, &layer.up, &layer.down}) {
      operations += 2 * m->w.inner * m->w.columns;
    }
    most = std::max(most, operations);
  }
  return most;
}

template <typename T>
void step_through(const StepForm& form, const std::vector<StepLayer>& layers, int64_t cached, const float* cos,
                  const float* sin, float* x) {
  Parts parts;
  shared_in<T>(form, layers, parts);
  parts.lie_in(scratch<char, kStepShared>(parts.used()));
  const auto shared = shared_in<T>(form, layers, parts);
  with_team(operations_of(layers), [&](Team& team, int64_t thread) {
    Step<T> step(form, cached, cos, sin, x, shared, team, thread);
    for (const StepLayer& layer : layers) step.run(layer);
  });
}

}  // namespace

void dense_step(const StepForm& form, const std::vector<StepLayer>& layers, int64_t cached, const float* cos,
                const float* sin, float* x) {
  if (form.dtype == at::kFloat) {
    step_through<float>(form, layers, cached, cos, sin, x);
  } else {
    step_through<BFloat16>(form, layers, cached, cos, sin, x);
  }
}

}  // namespace mformer::kernels::cpu
