#pragma once

#include <vector>

#include "core/checkpoint/hub_model.h"
#include "core/formats/safetensors.h"
#include "core/model/forward.h"

namespace mformer {

/// Adds the tensor as float32 (whole numbers as int64), on the CPU, contiguous, at least one-dimensional.
void add_probed(std::vector<NamedTensor>& all, const std::string& name, const at::Tensor& tensor);

/// Cross-entropy, balance loss and their sum, as the reference takes it: without the balance loss where its weight is
/// 0. Labels [batch, tokens] are shifted by one inside; −100 counts for nothing.
struct ProbedLoss {
  at::Tensor cross_entropy, aux, loss;
};
ProbedLoss probed_loss(const Model& model, const ForwardOutput& output, const at::Tensor& logits,
                       const at::Tensor& labels, const std::optional<at::Tensor>& attention_mask);

/// A second batch, where the input has one: `padded.input_ids` [batch, tokens], `padded.attention_mask` and maybe
/// `padded.labels` give `padded.logits`, `padded.cross_entropy`, `padded.aux_loss` and `padded.loss`.
void probe_padded(const Model& model, const SafetensorsFile& input, std::vector<NamedTensor>& all);

/// Cached decoding, where the input asks for it: `greedy.prompt` [1, tokens] gives `greedy.tokens` [1, n] and the
/// logits that each was chosen by, `greedy.logits` [1, n, vocab]; n is that of the input's own `greedy.tokens`, or 16.
void probe_greedy(const Model& model, const SafetensorsFile& input, std::vector<NamedTensor>& all);

}  // namespace mformer
