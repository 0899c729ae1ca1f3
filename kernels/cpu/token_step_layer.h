#pragma once

#include <algorithm>

#include "kernels/cpu/gated_activation.h"
#include "kernels/cpu/rms_norm.h"
#include "kernels/cpu/rotary.h"
#include "kernels/cpu/row_steps.h"
#include "kernels/cpu/softmax_forward.h"
#include "kernels/cpu/team.h"
#include "kernels/cpu/token_step.h"
#include "kernels/cpu/token_step_rows.h"

namespace mformer::kernels::cpu {

/// One thread's view of the step. What lies between two phases is shared, but for rows that each thread makes for
/// itself: that takes less time than waiting for another.
template <typename T>
class Step {
 public:
  /// Values of T and float32 that the threads share.
  struct Shared {
    T *slots, *read, *raised, *hidden, *mixed;
    float* sums;
    int8_t* hidden_codes;
    float* hidden_scales;
  };

  Step(const StepForm& form, int64_t cached, const float* cos, const float* sin, float* x, const Shared& shared,
       Team& team, int64_t thread)
      : form_(form), cached_(cached), cos_(cos), sin_(sin), x_(x), shared_(shared), team_(team), thread_(thread) {}

  void run(const StepLayer& layer) {
    const T* row = normed(layer.norm_1);
    product(layer.in, row, codes_for(layer.in.w, row), shared_.slots);
    team_.phase(thread_, layer.key_heads, [&](int64_t head) { attend(layer, head); });
    add_product(layer.out, shared_.read, codes_for(layer.out.w, shared_.read));
    if (layer.router) return add_chosen(layer);
    row = normed(layer.norm_2);
    if (layer.slice_hidden % kPanelColumns != 0) {
      product(layer.up, row, codes_for(layer.up.w, row), shared_.raised);
      team_.phase(thread_, layer.slices,
                  [&](int64_t slice) { activate(layer, slice * layer.slice_hidden, layer.slice_hidden); });
      add_product(layer.down, shared_.hidden, codes_for(layer.down.w, shared_.hidden));
      return;
    }
    raise(layer, row, codes_for(layer.up.w, row));
    const bool codes = layer.down.w.bits != 0;
    add_product(layer.down, shared_.hidden, codes ? hidden_codes(layer).get() : QuantisedRows{});
  }

 private:
  template <typename Value, int Use>
  const Value* normed_as(const StepNorm& norm) const {
    Value* row = scratch<Value, Use>(form_.width);
    if (form_.rms) {
      rms_norm_row(x_, form_.width, norm.weight, static_cast<float>(form_.epsilon), row);
    } else {
      layer_norm_row(x_, form_.width, norm.weight, norm.bias, row);
    }
    return row;
  }
  const T* normed(const StepNorm& norm) const { return normed_as<T, kStepRow>(norm); }

  /// The row as the product takes it.
  static QuantisedRows codes_for(const RightMatrix& w, const T* row) {
    return w.bits == 0 ? QuantisedRows{} : own_codes(row, 1, w.inner);
  }

  RowCodes hidden_codes(const StepLayer& layer) const {
    return {1, layer.slices * layer.slice_hidden, shared_.hidden_codes, shared_.hidden_scales};
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
  void activate(const StepLayer& layer, int64_t first, int64_t columns) const {
    T* to = shared_.hidden + first;
    if (form_.gated) {
      const T* gate = shared_.raised + first / layer.slice_hidden * layer.slice_hidden + first;
      gated_row(form_.activation, gate, gate + layer.slice_hidden, columns, to);
    } else {
      std::copy_n(shared_.raised + first, columns, to);
      activate_row(form_.activation, to, columns);
    }
  }

  /// The feed-forward modules' first maps, with the activation, 64 columns of the hidden layer a task: what is made of
  /// them needs no others.
  void raise(const StepLayer& layer, const T* row, const QuantisedRows& codes) {
    const int64_t hidden = layer.slice_hidden, in_slice = hidden / kPanelColumns;
    const Product p = product_of(layer.up, row, codes, shared_.raised);
    team_.phase(thread_, layer.slices * in_slice, [&](int64_t i) {
      if (form_.gated) {
        const int64_t gate = i / in_slice * 2 * hidden + i % in_slice * kPanelColumns;
        product_panel(form_.dtype, p, gate);
        product_panel(form_.dtype, p, gate + hidden);
      } else {
        product_panel(form_.dtype, p, i * kPanelColumns);
      }
      activate(layer, i * kPanelColumns, kPanelColumns);
      if (layer.down.w.bits != 0) quantise_hidden(layer, i);
    });
  }

  /// Groups of a row are quantised one by one, so that a panel's can be before the others are there.
  void quantise_hidden(const StepLayer& layer, int64_t panel) const {
    const int64_t first = panel * kPanelColumns;
    quantise_row(shared_.hidden + first, kPanelColumns, hidden_codes(layer).at(first / kInputsPerGroup));
  }

  /// What the router chooses, which each thread finds out for itself.
  struct Chosen {
    const int64_t* modules;
    const float* gates;
  };

  Chosen choose(const StepLayer& layer) const {
    const StepRouter& router = *layer.router;
    const int64_t modules = router.rows.columns;
    const auto* row = normed_as<float, kStepExactRow>(layer.norm_2);  // unrounded, since a choice is discrete
    auto *p = scratch<float, kStepProbabilities>(modules), *gates = scratch<float, kStepGates>(router.k);
    auto* chosen = scratch<int64_t, kStepChosen>(router.k);
    const Product logits{row, 1, router.rows, p};
    for (int64_t column = 0; column < modules; column += kPanelColumns) product_panel(at::kFloat, logits, column);
    choose_row(p, modules, router.k, router.choice, chosen, gates);
    if (thread_ == 0) {
      std::copy_n(p, modules, router.probabilities);
      std::copy_n(chosen, router.k, router.chosen);
      std::copy_n(gates, router.k, router.gates);
    }
    return {chosen, gates};
  }

  /// Adds what the chosen modules put out, in the order of the choice, each rounded as a product is.
  void add_chosen(const StepLayer& layer) {
    const StepRouter& router = *layer.router;
    const Chosen chosen = choose(layer);
    const auto module = [&](int64_t slot) -> const StepModule& {
      return router.modules[static_cast<std::size_t>(chosen.modules[slot])];
    };
    const int64_t hidden = layer.slice_hidden, raised = module(0).in.columns, in_panels = panels(module(0).in);
    const T* row = normed(layer.norm_2);
    const QuantisedRows codes = router.codes ? own_codes(row, 1, form_.width) : QuantisedRows{};
    team_.phase(thread_, router.k * in_panels, [&](int64_t i) {
      const int64_t slot = i / in_panels;
      product_panel(form_.dtype, product_of({module(slot).in}, row, codes, shared_.raised + slot * raised),
                    i % in_panels * kPanelColumns);
    });
    team_.phase(thread_, router.k, [&](int64_t slot) { activate(layer, slot * hidden, hidden); });
    const QuantisedRows made = router.codes ? own_codes(shared_.hidden, router.k, hidden) : QuantisedRows{};
    const auto scale = static_cast<float>(form_.residual_scale);
    team_.phase(thread_, panels(module(0).out), [&](int64_t i) {
      const int64_t column = i * kPanelColumns, columns = std::min(kPanelColumns, form_.width - column);
      for (int64_t slot = 0; slot < router.k; ++slot) {
        T* y = shared_.mixed + slot * form_.width;
        product_panel(form_.dtype, product_of({module(slot).out}, shared_.hidden + slot * hidden, made.from(slot), y),
                      column);
        add_scaled_row(y + column, scale * chosen.gates[slot], columns, x_ + column);
      }
      if (layer.down.bias != nullptr) add_scaled_row(layer.down.bias + column, scale, columns, x_ + column);
    });
  }

  const StepForm& form_;
  const int64_t cached_;
  const float *cos_, *sin_;
  float* x_;
  const Shared shared_;
  Team& team_;
  const int64_t thread_;
};

}  // namespace mformer::kernels::cpu
