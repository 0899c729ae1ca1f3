#include "core/workflows/probe.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <map>

#include "core/checkpoint/hub_model.h"
#include "core/checkpoint/quantize.h"
#include "core/checkpoint/tensor_io.h"
#include "core/model/domains.h"
#include "core/model/forward.h"
#include "core/model/losses.h"
#include "core/model/placement.h"
#include "core/model/posterior.h"
#include "core/training/trainable.h"
#include "core/workflows/probe_cases.h"
#include "modules_registry/error.h"

namespace mformer {
namespace {

void add_routing(std::vector<NamedTensor>& all, const ModelConfig& config, const std::vector<BlockTrace>& routing) {
  for (std::size_t l = 0; l < routing.size(); ++l) {
    for (const Kind kind : {Kind::att, Kind::mlp}) {
      const std::string name = "routing.layer." + std::to_string(l) + "." + std::string(to_string(kind));
      const RouterDecision& decision = routing[l].bank(kind).decision;
      if (!decision.logits.defined()) continue;
      add_probed(all, name + ".logits", decision.logits);
      add_probed(all, name + ".probs", decision.probs);
      add_probed(all, name + ".indices", decision.indices);
      add_probed(all, name + ".gates", decision.gates);
      add_probed(all, name + ".aux", balance_loss(config, decision));
    }
  }
}

/// Under the names that the model's family gives its tensors.
void add_gradients(std::vector<NamedTensor>& all, Model& model) {
  std::map<std::string, at::Tensor> gradients;
  for_each_parameter(model, [&](const ParameterRef& ref) {
    gradients[ref.name] = ref.tensor->grad().defined() ? ref.tensor->grad() : at::zeros_like(*ref.tensor);
  });
  const Family& layout = family_of(model.config);
  for (const NamedTensor& entry :
       hub_tensors(model.config, layout, [&](const std::string& name) { return gradients.at(name); })) {
    add_probed(all, "grad." + entry.name, entry.tensor);
  }
}

/// One document under the mixture: [tokens, vocab] and [tokens, hypotheses], float64, on the CPU.
struct MixedDocument {
  at::Tensor log_probs, weights;
  double loss = 0;  ///< Summed over its tokens that were predicted, and are no padding.
  std::int64_t predicted = 0;
};

/// `ids` [1, tokens].
MixedDocument mix(const std::vector<Model>& views, const at::Tensor& ids, const ForwardOptions& how) {
  std::vector<at::Tensor> log_probs;  // of each hypothesis, [tokens, vocab]
  for (const Model& view : views) {
    log_probs.push_back(at::log_softmax(logits_of(view, forward(view, ids, how).hidden)[0].cpu().to(at::kDouble), -1));
  }
  const auto hypotheses = static_cast<std::int64_t>(views.size());
  MixedDocument document;
  document.weights = at::zeros({ids.size(1), hypotheses}, at::kDouble);
  Posterior posterior(views.size() - 1, {});
  const auto is_token = [&](std::int64_t t) {
    return !how.attention_mask.has_value() || (*how.attention_mask)[0][t].item<bool>();
  };
  for (std::int64_t t = 0; t < ids.size(1); ++t) {
    for (std::int64_t h = 0; h < hypotheses; ++h) document.weights[t][h] = posterior.weights()[h];
    // Padding is no evidence, and nothing predicted the first token after it.
    if (t + 1 == ids.size(1) || !is_token(t) || !is_token(t + 1)) continue;
    std::vector<double> next;
    for (std::int64_t h = 0; h < hypotheses; ++h) next.push_back(log_probs[h][t][ids[0][t + 1]].item<double>());
    document.loss += posterior.observe(next);
    ++document.predicted;
  }
  at::Tensor mixed = at::zeros_like(log_probs[0]);
  for (std::int64_t h = 0; h < hypotheses; ++h) {
    mixed.add_(log_probs[h].exp_() * document.weights.narrow(1, h, 1));
  }
  document.log_probs = mixed.log_();
  return document;
}

/// The posterior mixture on ids [batch, tokens], each row one document. One at a time: memory is a few times [tokens,
/// vocab] for each hypothesis, whatever the batch, beside what is written.
ProbeReport probe_mixture(const Model& model, const at::Tensor& ids, const ForwardOptions& how,
                          const ProbeOptions& options) {
  if (options.gradients) {
    throw UsageError("the mixture of a model with domains has no gradients here", "name one hypothesis: --domain NAME");
  }
  const at::NoGradGuard no_grad;
  const std::vector<Model> views = views_of(model);
  const std::int64_t batch = ids.size(0), tokens = ids.size(1);
  const at::Tensor logits = at::zeros({batch, tokens, model.config.vocab_size});
  const at::Tensor weights = at::zeros({batch, tokens, static_cast<std::int64_t>(views.size())}, at::kDouble);
  double sum = 0;
  std::int64_t predicted = 0;
  for (std::int64_t row = 0; row < batch; ++row) {
    ForwardOptions of_row = how;
    if (how.attention_mask.has_value()) of_row.attention_mask = how.attention_mask->narrow(0, row, 1);
    const MixedDocument document = mix(views, ids.narrow(0, row, 1), of_row);
    logits[row].copy_(document.log_probs);
    weights[row].copy_(document.weights);
    sum += document.loss;
    predicted += document.predicted;
  }
  const double loss = predicted == 0 ? 0.0 : sum / static_cast<double>(predicted);
  std::vector<NamedTensor> tensors;
  add_probed(tensors, "logits", logits);
  add_probed(tensors, "weights", weights);
  add_probed(tensors, "loss", at::scalar_tensor(loss, at::kDouble));
  write_safetensors(options.output, to_write(tensors));
  return {batch, tokens, loss, 0.0, tensors.size()};
}

}  // namespace

ProbeReport probe(const Model& original, const ProbeOptions& options) {
  const SafetensorsFile file = SafetensorsFile::open(options.input);
  const at::Tensor ids = to_tensor(file.get("input_ids")).to(at::kLong);
  if (ids.dim() != 2 || ids.size(1) < 2) {
    throw Error(options.input + ": input_ids must be [batch, tokens] with at least 2 tokens",
                "the loss needs a next token");
  }
  ForwardOptions how;
  how.hidden_states = true;
  if (file.find("attention_mask") != nullptr) {
    how.attention_mask = to_tensor(file.get("attention_mask")).ne(0);
    if (how.attention_mask->sizes() != ids.sizes()) {
      throw Error(options.input + ": attention_mask must have the shape of input_ids",
                  "leave it out where nothing is padded");
    }
  }
  Model model = original;
  if (options.float64) {
    dequantize(model, at::kDouble);
    convert(model, at::kDouble);
  }
  model = on_device(model, options.device);
  if (!model.domains.empty()) return probe_mixture(model, ids, how, options);
  if (options.gradients) {
    if (model.config.is_quantized()) {
      throw Error("quantised weights have no gradients", "add --float64: the values of their weights have");
    }
    model = clone(model);
    for_each_parameter(model, [](const ParameterRef& ref) { ref.tensor->set_requires_grad(true); });
    if (model.config.tie_word_embeddings) model.lm_head = model.wte;
  }
  const at::AutoGradMode grad_mode(options.gradients);
  const ForwardOutput output = forward(model, ids, how);
  const at::Tensor logits = logits_of(model, output.hidden);
  const at::Tensor labels = file.find("labels") != nullptr ? to_tensor(file.get("labels")).to(at::kLong) : ids;
  if (labels.sizes() != ids.sizes()) {
    throw Error(options.input + ": labels must have the shape of input_ids",
                "leave them out to predict the next token");
  }
  const ProbedLoss loss = probed_loss(model, output, logits, labels, how.attention_mask);

  std::vector<NamedTensor> tensors;
  add_probed(tensors, "logits", logits);
  for (std::size_t i = 0; i < output.hidden_states.size(); ++i)
    add_probed(tensors, "hidden." + std::to_string(i), output.hidden_states[i]);
  add_probed(tensors, "cross_entropy", loss.cross_entropy);
  add_probed(tensors, "loss", loss.loss);
  add_probed(tensors, "aux_loss", loss.aux);
  add_routing(tensors, model.config, output.routing);
  if (options.gradients) {
    loss.loss.backward();
    add_gradients(tensors, model);
  }
  probe_padded(model, file, tensors);
  probe_greedy(model, file, tensors);
  write_safetensors(options.output, to_write(tensors));
  return {ids.size(0), ids.size(1), loss.loss.item<double>(), loss.aux.item<double>(), tensors.size()};
}

}  // namespace mformer
