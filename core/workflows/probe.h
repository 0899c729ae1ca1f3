#pragma once

#include <string>

#include "core/model/model.h"

namespace mformer {

struct ProbeOptions {
  std::string
      input;  ///< safetensors with `input_ids` [batch, tokens] (int64 or int32) and maybe `attention_mask`, `labels`.
  std::string output;      ///< safetensors to be written.
  bool gradients = false;  ///< Also `grad.NAME` for every parameter of the checkpoint format.
  bool float64 = false;    ///< Compute in float64.
  at::Device device = at::kCPU;
};

struct ProbeReport {
  std::int64_t batch = 0, tokens = 0;
  double loss = 0, aux_loss = 0;
  std::size_t tensors = 0;  ///< Written.
};

/// Writes what the model makes of the input under the names of tests/data/golden and golden-families (logits, hidden.I,
/// cross_entropy, loss, aux_loss, routing.layer.L.{att,mlp}.{logits,probs,indices,gates,aux}, and, where the input asks
/// for them, padded.* and greedy.* of probe_cases.h), float32: for comparing with other implementations. Of a model
/// with domains: `logits` (log-probabilities of the posterior mixture), `weights` [batch, tokens, hypotheses] with
/// which each predicts the next token, and `loss`; each row is one document, every hypothesis runs. Throws UsageError
/// where `options` asks for gradients of a mixture.
ProbeReport probe(const Model& model, const ProbeOptions& options);

}  // namespace mformer
