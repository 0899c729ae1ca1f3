#pragma once

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

#include <optional>
#include <vector>

#include "core/model/model.h"
#include "core/model/pools.h"
#include "kernels/frozen_panels.h"

namespace mformer {

/// What one router did with [tokens] tokens (a batch flattened batch-major).
struct RouterDecision {
  at::Tensor logits;   ///< [tokens, modules]; document pools leave them, and probs, as they are. Undefined, as `input`
                       ///< and `probs`, in an unrouted bank; without any module all are.
  at::Tensor input;    ///< [tokens, row width] what the modules' rows are multiplied with; undefined unless asked for
  at::Tensor probs;    ///< [tokens, modules] softmax over all modules of the bank
  at::Tensor indices;  ///< [tokens, k] chosen modules, int64, by descending gate
  at::Tensor gates;    ///< [tokens, k] their probabilities, or what ModelForm makes of them; with pools, of a softmax
                       ///< over the pool; 1 in an unrouted bank
};

/// What one bank did: the decision, and (if asked for) the norm of what each chosen module put out.
struct BankTrace {
  RouterDecision decision;
  at::Tensor output_norms;  ///< [tokens, k] ‖module output‖ before gating; undefined unless ForwardOptions::norms
};

struct BlockTrace {
  BankTrace att, mlp;
  BankTrace& bank(Kind kind) { return kind == Kind::att ? att : mlp; }
  const BankTrace& bank(Kind kind) const { return kind == Kind::att ? att : mlp; }
};

/// Keys and values of the tokens seen so far, one pair a layer, grown by forward(). Room doubles when it runs out, so
/// a step copies nothing. Where keys and values are the same tensor (models without projections) they are kept once.
class KeyValueCache {
 public:
  /// With room for `positions` tokens from the start.
  explicit KeyValueCache(std::int64_t positions = 0) : positions_(positions) {}
  /// Tokens stored.
  std::int64_t length() const { return length_; }
  /// Appends [batch, tokens, heads, head_size] to layer `layer`; returns views of all keys and values so far.
  std::pair<at::Tensor, at::Tensor> append(std::size_t layer, const at::Tensor& key, const at::Tensor& value);
  /// What a layer keeps of each token.
  struct Kind {
    std::int64_t batch, heads, size;
    at::TensorOptions options;
  };
  /// All room of layer `layer`, [batch, positions, heads, head_size], for keys and for values, of which positions from
  /// length() on are not written yet; there are at least `tokens` of these.
  std::pair<at::Tensor, at::Tensor> room(std::size_t layer, const Kind& kind, std::int64_t tokens);
  /// Counts `tokens` as stored, once all layers have appended them; less than 0: forgets the last of those stored.
  void advance(std::int64_t tokens) { length_ += tokens; }

 private:
  struct Layer {
    at::Tensor key, value;
  };
  Layer& layer_of(std::size_t layer, std::int64_t batch);

  std::vector<Layer> layers_;
  std::int64_t positions_;
  std::int64_t length_ = 0;
};

/// Rows of a batch that several processes share. What is drawn at random is drawn for all of them, and this process
/// takes its own: so what a token gets does not depend on the number of processes.
struct RowShare {
  std::int64_t first = 0, rows = 0, all = 0;  ///< This process has `rows` from `first` on, of `all`; all 0: has all.
  bool is_whole() const { return rows == all; }
};

struct ForwardOptions {
  /// [batch, cached + tokens], bool, true = real token. Padded positions are no keys; they are still routed and counted
  /// in the balance losses, as in the reference.
  std::optional<at::Tensor> attention_mask;
  /// Continue after these tokens and append to them. Inference only.
  KeyValueCache* cache = nullptr;
  /// Apply the config's dropouts and sample_topk, drawing from `generator` (null: LibTorch's default one): a CPU's, so
  /// that the same seed draws the same on every device.
  bool training = false;
  std::optional<at::Generator> generator;
  RowShare share;  ///< Of training.
  /// Confine the tokens of each document to a pool of modules (core/model/pools.h), drawing from `generator`. Training
  /// only.
  std::optional<DocumentPools> pools;
  /// Keep the hidden state before each block and after the last norm in the output.
  bool hidden_states = false;
  /// Fill BankTrace::output_norms.
  bool norms = false;
  /// Fill RouterDecision::input.
  bool router_inputs = false;
  /// Compute matrix products in bfloat16 with float32 weights (autocast); norms, routers' softmax and losses in
  /// float32.
  bool bfloat16 = false;
  /// Where modules that are not trained are kept ready for their products from one step to the next; may be null.
  c10::intrusive_ptr<kernels::FrozenPanels> frozen_panels;
};

struct ForwardOutput {
  at::Tensor hidden;                      ///< [batch, tokens, n_embd] after the last norm
  std::vector<BlockTrace> routing;        ///< one a layer
  std::vector<at::Tensor> hidden_states;  ///< n_layer + 1, if asked for
};

/// Runs the trunk and blocks on `input_ids` [batch, tokens], int64, which like the mask may lie on the CPU whatever
/// the model's device (and best does: there they are checked without waiting for the device). Throws Error for ids
/// outside the vocabulary, and for a model with domains, which stands for several: give one of its views
/// (core/model/domains.h). core/model/inference.h has the one of models that only answer.
ForwardOutput forward(const Model& model, const at::Tensor& input_ids, const ForwardOptions& options = {});

/// hidden [..., n_embd] as the rows that the head is multiplied with: over ModelForm::logit_divisor, and in bfloat16
/// where that or the model asks for it.
at::Tensor head_input(const Model& model, const at::Tensor& hidden, bool bfloat16);

/// The head, as numbers of the rows' dtype where it is quantised.
at::Tensor head_for(const Model& model, const at::Tensor& rows);

/// hidden [..., n_embd] → logits [..., vocab_size], float32.
at::Tensor logits_of(const Model& model, const at::Tensor& hidden, bool bfloat16 = false);

/// The decision of one router on x [tokens, n_embd]. In training with sample_topk = s > 0 the last s of the k are drawn
/// by multinomial from the rest (probabilities + 1e-6, as the reference).
RouterDecision route(const ModelConfig& config, const ModuleBank& bank, const at::Tensor& x,
                     const ForwardOptions& options);

}  // namespace mformer
