#pragma once

#include <cstdint>
#include <functional>

#include "core/model/forward.h"
#include "core/text/packing.h"
#include "core/training/batch.h"
#include "modules_registry/error.h"

namespace mformer {

struct EvaluateOptions {
  std::int64_t max_tokens = 0;  ///< Stop after this many tokens of input, spread evenly over the data; 0 = all.
  std::int64_t batch_size = 8;
  bool bfloat16 = false;
  std::function<bool()> should_stop;  ///< Asked between batches; true throws EvaluationInterrupted.
  std::function<void(std::int64_t done, std::int64_t total)> progress;  ///< In windows.
};

class EvaluationInterrupted : public Error {
 public:
  using Error::Error;
};

struct Evaluation {
  double loss = 0;          ///< Mean cross-entropy, nats per token, over the targets that count.
  std::int64_t tokens = 0;  ///< How many these were.
  double perplexity() const;
};

/// Loss of the model on these windows; no gradients. The sum runs in double, in a fixed order.
Evaluation evaluate(const Model& model, const PackedWindows& windows, const EvaluateOptions& options = {});

/// Runs the model over the windows and hands each batch's forward pass on; what evaluate() and statistics share.
void for_each_forward(const Model& model, const PackedWindows& windows, const EvaluateOptions& options,
                      const ForwardOptions& how, const std::function<void(const Batch&, const ForwardOutput&)>& visit);

}  // namespace mformer
