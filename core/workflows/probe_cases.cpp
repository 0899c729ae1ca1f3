#include "core/workflows/probe_cases.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>

#include "core/checkpoint/tensor_io.h"
#include "core/model/losses.h"
#include "modules_registry/error.h"

namespace mformer {
namespace {

constexpr std::int64_t kGreedyTokens = 16;

at::Tensor ids_of(const SafetensorsFile& input, const std::string& name) {
  const at::Tensor ids = to_tensor(input.get(name)).to(at::kLong);
  if (ids.dim() == 2 && ids.size(0) > 0 && ids.size(1) > 0) return ids;
  throw Error(input.source() + ": '" + name + "' must be [batch, tokens]", "correct the input");
}

}  // namespace

void add_probed(std::vector<NamedTensor>& all, const std::string& name, const at::Tensor& tensor) {
  const bool real = tensor.is_floating_point();
  at::Tensor value = tensor.detach().cpu().to(real ? at::kFloat : at::kLong);
  if (value.dim() == 0) value = value.reshape({1});
  all.push_back({name, value.contiguous()});
}

ProbedLoss probed_loss(const Model& model, const ForwardOutput& output, const at::Tensor& logits,
                       const at::Tensor& labels, const std::optional<at::Tensor>& attention_mask) {
  const at::Tensor counted = attention_mask.has_value() ? attention_mask->flatten() : at::Tensor();
  ProbedLoss loss;
  loss.aux = balance_loss(model.config, output.routing, counted);
  loss.cross_entropy = next_token_loss(logits, labels);
  const double weight = model.config.aux_loss_weight;
  loss.loss = weight > 0.0 ? loss.cross_entropy + weight * loss.aux : loss.cross_entropy;
  return loss;
}

void probe_padded(const Model& model, const SafetensorsFile& input, std::vector<NamedTensor>& all) {
  if (input.find("padded.input_ids") == nullptr) return;
  const at::NoGradGuard no_grad;
  const at::Tensor ids = ids_of(input, "padded.input_ids");
  ForwardOptions how;
  how.attention_mask = ids_of(input, "padded.attention_mask").ne(0);
  const at::Tensor labels = input.find("padded.labels") != nullptr ? ids_of(input, "padded.labels") : ids;
  if (labels.sizes() != ids.sizes()) {
    throw Error(input.source() + ": 'padded.labels' has another shape than 'padded.input_ids'", "correct the input");
  }
  const ForwardOutput output = forward(model, ids, how);
  const at::Tensor logits = logits_of(model, output.hidden);
  const ProbedLoss loss = probed_loss(model, output, logits, labels, how.attention_mask);
  add_probed(all, "padded.logits", logits);
  add_probed(all, "padded.cross_entropy", loss.cross_entropy);
  add_probed(all, "padded.aux_loss", loss.aux);
  add_probed(all, "padded.loss", loss.loss);
}

void probe_greedy(const Model& model, const SafetensorsFile& input, std::vector<NamedTensor>& all) {
  if (input.find("greedy.prompt") == nullptr) return;
  const at::NoGradGuard no_grad;
  const bool counted = input.find("greedy.tokens") != nullptr;
  const std::int64_t wanted = counted ? ids_of(input, "greedy.tokens").size(1) : kGreedyTokens;
  KeyValueCache cache;
  ForwardOptions how;
  how.cache = &cache;
  at::Tensor next = ids_of(input, "greedy.prompt");
  std::vector<at::Tensor> tokens, logits;
  for (std::int64_t step = 0; step < wanted; ++step) {
    const at::Tensor hidden = forward(model, next, how).hidden;
    logits.push_back(logits_of(model, hidden.narrow(1, hidden.size(1) - 1, 1)));
    next = logits.back().argmax(-1).cpu();
    tokens.push_back(next);
  }
  add_probed(all, "greedy.tokens", at::cat(tokens, 1));
  add_probed(all, "greedy.logits", at::cat(logits, 1));
}

}  // namespace mformer
