#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "core/model/model.h"
#include "core/training/batch.h"

namespace mformer {

/// Of each row of a batch which views …
using RowViews = std::vector<std::vector<bool>>;

/// What the views of a model with domains give to the known targets of one batch, as far as they were run.
class ViewRuns {
 public:
  /// References stay in use.
  ViewRuns(const std::vector<Model>& views, bool bfloat16, const Batch& batch);

  /// Runs the views over the rows in `wanted`, over each at most once.
  void run(const RowViews& wanted);

  /// Log-probability of each target, [rows, tokens] float64, on the CPU; 0 where the target is −100.
  at::Tensor run_view(std::size_t view, const at::Tensor& inputs, const at::Tensor& targets) const;

  /// [rows, tokens, views] float64; −∞ where not run.
  const at::Tensor& log_probs() const { return log_probs_; }

  /// known_targets() of the batch.
  const at::Tensor& known() const { return known_; }

  /// All views for every row.
  RowViews everything() const;

 private:
  const std::vector<Model>& views_;
  bool bfloat16_;
  const Batch& batch_;
  at::Tensor log_probs_, known_;
  RowViews done_;
};

}  // namespace mformer
