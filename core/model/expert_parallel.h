#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "core/model/model.h"
#include "kernels/module_dispatch.h"

// Expert parallelism: a model that is too large for one process, or one device, is spread over several. Each has the
// trunk, the routers and the banks that no router chooses from whole, and of each routed bank the matrices of a part of
// its modules. Each runs its own tokens; a token's row goes to the processes that have the modules that it chose, and
// what these put out comes back. No row is dropped, however many choose the same module.
namespace mformer {

class ProcessGroup;

/// How many processes hold the modules of a bank: module i of n is on process i · ranks / n, so that the numbers differ
/// by one at most, and what a process has lies side by side.
int rank_of_module(std::int64_t module, std::int64_t modules, int ranks);

/// Spreads the modules of routed banks over the processes of `group`: Module::rank is set everywhere, and the matrices
/// of modules that another process has become tensors on at::kMeta, if they are not there already. Every process gives
/// the same model. `group` must outlive it. All processes must call forward() equally often then, with any number of
/// tokens, also none. Throws Error for a bank with biases or norms of its own in modules.
void spread_modules(Model& model, ProcessGroup& group);

/// Whether the model is spread over several processes.
bool is_spread(const Model& model);

/// Whether this process has the module's matrices.
bool is_here(const Module& module, const ModuleBank& bank);

/// Whether the parameter is a matrix, or its scales, of a module that another process has.
bool is_elsewhere(const Model& model, const ParameterRef& parameter);

/// The way of the rows of one pass between processes: who sends how many to whom, and in which order they are worked
/// on. Every process makes one for the same bank at the same time. Made anew for each pass, as each has another choice.
class RowExchange {
 public:
  /// `dispatch` of this process's own tokens, over all modules of the bank.
  RowExchange(const ModuleBank& bank, const kernels::ModuleDispatch& dispatch);

  /// rows [tokens · k, width], sorted by module → [rows that this process's modules take, width], of all processes:
  /// sorted by module, then by process. Differentiable: the gradient goes the way back.
  at::Tensor to_modules(const at::Tensor& rows) const;
  /// The reverse. Differentiable.
  at::Tensor from_modules(const at::Tensor& rows) const;

  /// Positions in the bank of the modules that this process has, ascending.
  const std::vector<std::int64_t>& modules() const { return modules_; }
  /// Which rows of to_modules() are whose.
  const kernels::ModuleOffsets& offset() const { return offset_; }

  struct Way;

 private:
  std::vector<std::int64_t> modules_;
  kernels::ModuleOffsets offset_;
  std::shared_ptr<Way> way_;
};

}  // namespace mformer
