#pragma once

#include <cstdint>
#include <vector>

#include "core/model/model.h"
#include "core/training/batch.h"
#include "core/workspace/session.h"

namespace mformer {

/// Pseudo-rehearsal (Robins 1995, Connection Science 7): a model writes texts itself, begun with a few tokens of old
/// text, and they are learned along with something new, to be predicted as the model predicted them when it wrote them
/// (knowledge distillation, as in core/model/distillation.h). So the old is held on any amount of text, while of the
/// old text itself no more is needed than its beginnings.
class Rehearsal {
 public:
  /// Tokens of old text that a text begins with.
  static constexpr std::int64_t kOpening = 8;

  /// `teacher` writes `texts` texts as long as `memory`, batches of old text of one length, drawing each token from its
  /// whole distribution; each text begins with kOpening tokens of a random place in the memory. The memory itself comes
  /// before them. The same for the same seed, whatever the number of threads. Reports progress to `watcher` and throws
  /// EvaluationInterrupted when asked to stop. The teacher lies on the CPU and writes there; the model that learns may
  /// lie on another `device`.
  Rehearsal(const Model& teacher, const std::vector<Batch>& memory, std::int64_t texts, std::uint64_t seed,
            const Watcher& watcher, at::Device device = at::kCPU);

  /// Texts in all.
  std::int64_t texts() const { return inputs_.size(0); }

  /// `count` of them, evenly spread, `rows` a batch, without targets.
  std::vector<Batch> sample(std::int64_t count, std::int64_t rows) const;

  /// The batches of `source` with `count` texts behind their own rows: marked as replay, without targets, in an order
  /// shuffled anew whenever all have been seen. This object must outlive what is returned.
  BatchSource behind(BatchSource source, std::int64_t count) const;

  /// Mean over the tokens of those `count` texts of KL(teacher ‖ model), nats; differentiable. `hidden` [batch, tokens,
  /// width] is of the model's forward pass of the whole batch.
  at::Tensor loss(const Model& model, const at::Tensor& hidden, const Batch& batch, std::int64_t count) const;

 private:
  at::Tensor texts_of_step(std::int64_t step, std::int64_t count) const;

  std::uint64_t seed_;
  at::Tensor inputs_;  ///< [texts, tokens], int64
  at::Tensor hidden_;  ///< [texts, tokens, width], float32: the teacher's
  Model head_;         ///< The teacher's lm_head, on the learning model's device, and nothing else.
};

}  // namespace mformer
