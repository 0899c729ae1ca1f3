#include "core/training/memory_plan.h"

#include <algorithm>
#include <limits>

#include "core/model/placement.h"
#include "kernels/linear_cross_entropy.h"

namespace mformer {
namespace {

// As in the kernels: logits and scores at a time, and weights that the optimiser updates together.
constexpr std::int64_t kLogitsOnDevice = 1 << 26;
constexpr std::int64_t kScoresOnDevice = 1 << 24, kTensorsOfScores = 8;
constexpr std::int64_t kWeightsTogether = 1 << 24, kTensorsOfWeights = 3;

std::int64_t bytes_of(const at::Tensor& x) {
  return static_cast<std::int64_t>(x.nbytes());
}

/// Bytes of all weights; where `reduced`, as make_matrices_bfloat16() leaves those that need no gradient.
std::int64_t weights_of(Model model, bool reduced) {
  std::int64_t bytes = 0;
  for_each_parameter(model, [&](const ParameterRef& ref) {
    const bool small = reduced && is_product_matrix(ref) && ref.tensor->is_floating_point();
    bytes += small ? 2 * ref.tensor->numel() : bytes_of(*ref.tensor);
  });
  return bytes;
}

/// On the CPU the panels of its modules, for one direction.
std::int64_t teacher_bytes(Model teacher, bool bfloat16, bool on_cpu) {
  if (!on_cpu) return weights_of(teacher, bfloat16);
  std::int64_t bytes = 0;
  for_each_parameter(teacher, [&](const ParameterRef& ref) {
    if (ref.is_map()) bytes += ref.tensor->numel() * (bfloat16 ? 2 : 4);
  });
  return bytes;
}

/// The lowest layer whose activations a gradient needs; the number of layers if only the end is trained.
std::int64_t first_trained_layer(Model& model) {
  std::int64_t first = model.config.n_layer;
  for_each_parameter(model, [&](const ParameterRef& ref) {
    if (!ref.tensor->requires_grad()) return;
    if (ref.role == ParameterRole::embedding) first = 0;
    if (ref.layer >= 0) first = std::min<std::int64_t>(first, ref.layer);
  });
  return first;
}

/// The terms of the header's formulas.
class Activations {
 public:
  Activations(const PlannedTraining& training, std::int64_t tokens)
      : model_(training.model),
        config_(training.model.config),
        tokens_(tokens),
        element_(training.options.bfloat16 ? 2 : 4),
        balance_(training.balance) {}

  std::int64_t kept() const {
    const std::int64_t first = first_trained_layer(model_);
    std::int64_t bytes = tokens_ * (8 + element_) * config_.n_embd;
    for (std::int64_t l = 0; l < config_.n_layer; ++l) {
      for (const Kind kind : {Kind::att, Kind::mlp}) {
        const ModuleBank& bank = model_.blocks[l].bank(kind);
        bytes += tokens_ * (l < first ? choice(bank) : choice(bank) + input(bank) + modules(bank));
      }
    }
    return bytes;
  }

  /// Gradients that live together while the backward pass goes through one layer.
  std::int64_t backward_of_a_layer() const {
    std::int64_t most = 0;
    for (const Block& block : model_.blocks) {
      for (const ModuleBank* bank : {&block.att, &block.mlp}) {
        most = std::max(most, bank->chosen() * (2 * config_.n_embd + columns(*bank) + hidden(*bank)));
      }
    }
    return tokens_ * (8 * config_.n_embd + element_ * most);
  }

 private:
  /// Bytes a token: logits, distribution and choice.
  std::int64_t choice(const ModuleBank& bank) const {
    return (bank.routed ? 4 * bank.size() * (2 + (balance_ ? 1 : 0)) : 0) + 28 * bank.chosen();
  }

  /// … the norm, conversions, the router's hidden layer.
  std::int64_t input(const ModuleBank& bank) const {
    const std::int64_t conversions = element_ == 4                                                 ? 0
                                     : bank.kind == Kind::att && model_.config.has_kv_projection() ? 3
                                                                                                   : 1;
    const std::int64_t hidden = !bank.routed                         ? 0
                                : config_.gate_type == GateType::mlp ? 8
                                : config_.gate_type == GateType::gmm ? 12
                                                                     : 0;
    return (8 + conversions * element_) * config_.n_embd + hidden * config_.gating_size;
  }

  /// … what the modules read and write.
  std::int64_t modules(const ModuleBank& bank) const {
    const std::int64_t shared = bank.kind == Kind::att && bank.routed ? 2 * config_.att_hidden : 0;
    return element_ * (bank.chosen() * (2 * config_.n_embd + columns(bank) + hidden(bank)) + shared);
  }

  static std::int64_t columns(const ModuleBank& bank) { return bank.modules.empty() ? 0 : bank.modules[0].in.size(1); }
  static std::int64_t hidden(const ModuleBank& bank) { return bank.modules.empty() ? 0 : bank.modules[0].out.size(0); }

  Model& model_;
  const ModelConfig& config_;
  std::int64_t tokens_, element_;
  bool balance_;
};

/// Logits, their gradient, and that in the products' dtype.
std::int64_t logits_block(std::int64_t tokens, std::int64_t vocab, bool bfloat16, bool on_cpu) {
  const std::int64_t step =
      on_cpu ? kernels::tokens_per_chunk(tokens, vocab) : std::max<std::int64_t>(128, kLogitsOnDevice / vocab);
  const std::int64_t once = std::min(tokens, step) * vocab * 4;
  return on_cpu ? once : 2 * once + (bfloat16 ? once / 2 : 0);
}

std::int64_t scores_block(const ModelConfig& config, std::int64_t tokens, std::int64_t context) {
  const std::int64_t all =
      tokens * (config.form.att_routed ? config.k_att : config.n_att_experts) * config.n_head * context;
  return 4 * kTensorsOfScores * std::min(all, kScoresOnDevice);
}

}  // namespace

MemoryPlan plan_memory(const PlannedTraining& training) {
  MemoryPlan plan;
  plan.device = training.device;
  const bool on_cpu = training.device.is_cpu(), bfloat16 = training.options.bfloat16;
  std::int64_t weights = 0;
  for_each_parameter(training.model, [&](const ParameterRef& ref) {
    if (ref.tensor->requires_grad()) {
      plan.trained_weights += bytes_of(*ref.tensor);
      weights += ref.tensor->numel();
      if (ref.tensor->element_size() < 4) plan.optimizer += 4 * ref.tensor->numel();  // a master
    } else {
      const bool small = !on_cpu && bfloat16 && is_product_matrix(ref);
      plan.frozen_weights += small ? 2 * ref.tensor->numel() : bytes_of(*ref.tensor);
      // One set of panels for each direction.
      if (on_cpu && ref.is_map()) plan.packed_weights += 2 * ref.tensor->numel() * (bfloat16 ? 2 : 4);
    }
  });
  plan.evaluation = weights_of(training.model, false);
  if (on_cpu) plan.base_weights = plan.evaluation;
  if (training.teacher != nullptr) plan.teacher_weights = teacher_bytes(*training.teacher, bfloat16, on_cpu);
  plan.gradients = plan.trained_weights;
  if (training.keep_best && on_cpu) plan.best_weights = plan.trained_weights;
  plan.optimizer += 8 * weights;
  const ModelConfig& config = training.model.config;
  const std::int64_t context = training.options.context > 0 ? training.options.context : config.default_context();
  const std::int64_t tokens = training.options.batch_size * context;
  const Activations activations(training, tokens);
  plan.activations = activations.kept();
  plan.logits = logits_block(tokens, config.vocab_size, bfloat16, on_cpu);
  plan.working = std::max(plan.logits, activations.backward_of_a_layer());
  if (!on_cpu) {
    plan.working = std::max({plan.working, scores_block(config, tokens, context),
                             4 * kTensorsOfWeights * std::min(weights, kWeightsTogether)});
  }
  return plan;
}

}  // namespace mformer
