#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <cstdint>

#include "kernels/module_offsets.h"

namespace mformer::kernels {

/// Which rows go to which module. A *slot* is one (token, choice) pair, numbered token · k + choice; a *row* is a slot
/// in the order in which modules work: sorted by module, by slot within a module. All of it lies where `chosen` was.
struct ModuleDispatch {
  int64_t k = 0;
  /// Which rows each module owns. On a device they stay there: planning waits for nothing.
  ModuleOffsets offset;
  /// [tokens · k], int64: the slot of each row.
  at::Tensor slot_of_row;
  /// [tokens · k], int64: the row of each slot.
  at::Tensor row_of_slot;
  /// Whether every token goes to every module (dispatch_to_all).
  bool to_all = false;
};

/// Plans the dispatch of `chosen` [tokens, k], int64, k ≥ 1, each < modules, by counting: linear, and stable, so the
/// order of every sum is fixed. Throws c10::Error if an index is out of range: at once on the CPU, elsewhere when the
/// offsets are asked for on the host. (Until then rows of such slots are some rows, and belong to no module.)
ModuleDispatch plan_dispatch(const at::Tensor& chosen, int64_t modules);

/// The dispatch where nothing is routed: choice c of every token is module c, so the rows of a module are all tokens in
/// order. It moves and copies less than a planned one: rows_from_tokens gives the tokens themselves, which
/// grouped_linear takes for every module; grouped_linear_sum adds up what modules put out; and slots_from_rows is a
/// view. tokens ≥ 0, modules ≥ 1. On `device`.
ModuleDispatch dispatch_to_all(int64_t tokens, int64_t modules, const at::Device& device);

// What follows takes floating-point tensors on the dispatch's device and throws c10::Error, naming the argument, where
// sizes do not fit the dispatch.

/// [tokens, width] → [tokens · k, width]: each token's row copied to the modules that chose it; to all: x itself.
/// Differentiable.
at::Tensor rows_from_tokens(const at::Tensor& x, const ModuleDispatch& dispatch);
/// [tokens, k, width] → [tokens · k, width]: the slots in row order. Differentiable.
at::Tensor rows_from_slots(const at::Tensor& x, const ModuleDispatch& dispatch);
/// [tokens · k, width] → [tokens, k, width]: back to slot order; to all: a view of `rows`. Differentiable.
at::Tensor slots_from_rows(const at::Tensor& rows, const ModuleDispatch& dispatch);
/// y[t] = Σ_choice gates[t, choice] · rows[row of (t, choice)], summed in the order of the choices. `gates` [tokens,
/// k], any floating-point dtype, rounded to that of `rows`. Returns [tokens, width]. Differentiable in rows and gates.
at::Tensor combine(const at::Tensor& rows, const at::Tensor& gates, const ModuleDispatch& dispatch);

}  // namespace mformer::kernels
