#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

namespace mformer {

struct AdamWOptions {
  double beta1 = 0.9;
  double beta2 = 0.95;
  double epsilon = 1e-8;
  double weight_decay = 0.1;  ///< Decoupled (arXiv 1711.05101); applied where TrainedParameter::decay says so.
};

/// A parameter that is trained. Its gradient is tensor.grad().
struct TrainedParameter {
  std::string name;  ///< Unique; names the state in snapshots.
  at::Tensor tensor;
  bool decay = true;
};

/// AdamW over exactly the parameters given: nothing else has state. Parameters are contiguous; their moments are
/// float32, or float64 for float64 parameters. kernels/adamw.h has the formula; a step is one pass over memory, plus
/// one over the gradients for their norm.
///
/// A parameter of 16 bits has a float32 *master*, which is what moves; the parameter is the master rounded. Most steps
/// are smaller than half the distance between two neighbours in bfloat16 (2⁻⁹ of a weight), and would be lost one by
/// one (arXiv 1710.03740, section 3.1). Whoever changes such a parameter beside the optimiser is overwritten by the
/// next step.
class AdamW {
 public:
  AdamW(std::vector<TrainedParameter> parameters, const AdamWOptions& options);

  /// Norm of all gradients taken as one vector; a parameter without a gradient counts as zero.
  double gradient_norm() const;

  /// One update. Gradients are multiplied by `gradient_scale` (clipping) on the way. A parameter that got no gradient
  /// (a module that no token chose) moves by its momentum, as with a gradient of zeros, but none is
  /// made.
  void step(double learning_rate, double gradient_scale = 1.0);

  /// Drops all gradients.
  void clear_gradients();

  const std::vector<TrainedParameter>& parameters() const { return parameters_; }
  std::int64_t steps() const { return steps_; }
  /// Bytes of the moments and masters.
  std::int64_t state_bytes() const;

  /// The moments as (name, tensor), "NAME.exp_avg" and "NAME.exp_avg_sq", and "NAME.master" where there is one:
  /// handles, to be written or copied into.
  std::vector<std::pair<std::string, at::Tensor>> state() const;
  /// Says how many steps the moments in state() stand for, after they were filled from a snapshot.
  void set_steps(std::int64_t steps) { steps_ = steps; }

 private:
  static at::Tensor gradient(const TrainedParameter& parameter);

  std::vector<TrainedParameter> parameters_;
  AdamWOptions options_;
  std::vector<at::Tensor> exp_avg_, exp_avg_sq_;
  std::vector<at::Tensor> masters_;  ///< Undefined where the parameter itself moves.
  std::int64_t steps_ = 0;
};

}  // namespace mformer
