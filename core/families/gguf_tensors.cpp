#include <algorithm>
#include <map>

#include "core/families/gguf_model.h"
#include "modules_registry/error.h"

namespace mformer {
namespace {

struct Renamed {
  std::string_view theirs, gguf;
};

constexpr Renamed kOutside[] = {{"model.embed_tokens.weight", "token_embd.weight"},
                                {"model.norm.weight", "output_norm.weight"},
                                {"lm_head.weight", "output.weight"}};

/// Names below "model.layers.N." and below "blk.N.".
constexpr Renamed kInBlock[] = {{"input_layernorm.", "attn_norm."},
                                {"post_attention_layernorm.", "ffn_norm."},
                                {"self_attn.q_proj.", "attn_q."},
                                {"self_attn.k_proj.", "attn_k."},
                                {"self_attn.v_proj.", "attn_v."},
                                {"self_attn.o_proj.", "attn_output."},
                                {"self_attn.q_norm.", "attn_q_norm."},
                                {"self_attn.k_norm.", "attn_k_norm."},
                                {"mlp.gate_proj.", "ffn_gate."},
                                {"mlp.up_proj.", "ffn_up."},
                                {"mlp.down_proj.", "ffn_down."},
                                {"mlp.gate.", "ffn_gate_inp."},
                                {"mlp.shared_expert.gate_proj.", "ffn_gate_shexp."},
                                {"mlp.shared_expert.up_proj.", "ffn_up_shexp."},
                                {"mlp.shared_expert.down_proj.", "ffn_down_shexp."},
                                {"mlp.shared_expert_gate.", "ffn_gate_inp_shexp."},
                                {"block_sparse_moe.gate.", "ffn_gate_inp."},
                                {"block_sparse_moe.router.layer.", "ffn_gate_inp."},
                                {"block_sparse_moe.output_linear.", "ffn_down_exps."},
                                {"shared_mlp.output_linear.", "ffn_down_shexp."}};

/// Below "experts.N.": one tensor an expert, which GGUF stacks.
constexpr Renamed kInExpert[] = {{"gate_proj.", "ffn_gate_exps."}, {"up_proj.", "ffn_up_exps."},
                                 {"down_proj.", "ffn_down_exps."}, {"w1.", "ffn_gate_exps."},
                                 {"w3.", "ffn_up_exps."},          {"w2.", "ffn_down_exps."}};

/// Gate and up in one tensor, which GGUF cuts in two.
constexpr Renamed kJoined[] = {{"block_sparse_moe.input_linear.", "exps."}, {"shared_mlp.input_linear.", "shexp."}};

std::string renamed(std::string_view name, const Renamed& rule) {
  return std::string(rule.gguf).append(name.substr(rule.theirs.size()));
}

class GgufTable {
 public:
  void add(StoredTensor tensor) {
    for (const Renamed& rule : kOutside) {
      if (tensor.name == rule.theirs) return put(std::string(rule.gguf), std::move(tensor));
    }
    constexpr std::string_view kLayers = "model.layers.";
    std::string_view name = tensor.name;
    if (!name.starts_with(kLayers)) fail(tensor);
    name.remove_prefix(kLayers.size());
    const std::size_t dot = name.find('.');
    const std::string block = "blk." + std::string(name.substr(0, dot)) + ".";
    add_in_block(block, std::string(name.substr(dot + 1)), std::move(tensor));
  }

  std::vector<StoredTensor> take() { return std::move(all_); }

 private:
  void add_in_block(const std::string& block, const std::string& name, StoredTensor tensor) {
    for (const Renamed& rule : kInBlock) {
      if (name.starts_with(rule.theirs)) return put(block + renamed(name, rule), std::move(tensor));
    }
    for (const Renamed& rule : kJoined) {
      if (name.starts_with(rule.theirs)) return put_halves(block, renamed(name, rule), tensor);
    }
    constexpr std::string_view kExperts = ".experts.";
    const std::size_t at = name.find(kExperts);
    if (at == std::string::npos) fail(tensor);
    const std::string_view expert = std::string_view(name).substr(at + kExperts.size());
    const std::string_view rest = expert.substr(expert.find('.') + 1);
    for (const Renamed& rule : kInExpert) {
      if (rest.starts_with(rule.theirs)) return stack(block + renamed(rest, rule), std::move(tensor));
    }
    fail(tensor);
  }

  void put(std::string name, StoredTensor tensor) {
    tensor.name = std::move(name);
    // The gate of a shared expert is a matrix of one row there, and a vector in GGUF.
    if (tensor.name.ends_with(".ffn_gate_inp_shexp.weight")) {
      tensor.shape.erase(tensor.shape.begin());
      tensor.pieces.front().index = -1;
    }
    all_.push_back(std::move(tensor));
  }

  /// As the next matrix of the stack.
  void stack(const std::string& name, StoredTensor tensor) {
    const auto [found, is_new] = stacks_.emplace(name, all_.size());
    if (is_new) {
      tensor.shape.insert(tensor.shape.begin(), 0);
      all_.push_back({name, tensor.shape, {}, tensor.type});
    }
    StoredTensor& stack = all_[found->second];
    tensor.pieces.front().index = stack.shape.front()++;
    stack.pieces.push_back(std::move(tensor.pieces.front()));
  }

  void put_halves(const std::string& block, const std::string& name, const StoredTensor& tensor) {
    StoredTensor half = tensor;
    std::int64_t& rows = half.shape[half.shape.size() - 2];
    rows /= 2;
    half.name = block + "ffn_gate_" + name;
    all_.push_back(half);
    half.name = block + "ffn_up_" + name;
    for (Piece& piece : half.pieces) piece.to += rows;
    all_.push_back(std::move(half));
  }

  [[noreturn]] static void fail(const StoredTensor& tensor) {
    throw Error("the tensor '" + tensor.name + "' has no name in GGUF files");
  }

  std::vector<StoredTensor> all_;
  std::map<std::string, std::size_t> stacks_;
};

std::vector<StoredTensor> gguf_tensors(const ModelConfig& config) {
  GgufTable table;
  for (StoredTensor& tensor : family_of(config).tensors(config)) table.add(std::move(tensor));
  return table.take();
}

/// rope_freqs.weight is read with the config.
bool is_gguf_buffer(std::string_view name) {
  return name == "rope_freqs.weight";
}

}  // namespace

const Family& gguf_layout() {
  static const Family layout{"gguf",         "", nullptr, nullptr, gguf_tensors, is_gguf_buffer, "token_embd.weight",
                             "output.weight"};
  return layout;
}

std::int64_t gguf_interleaved_rows(const ModelConfig& config, std::string_view tensor) {
  constexpr std::string_view kInterleaved[] = {"llama", "mistral", "mixtral", "granitemoe", "granitemoeshared"};
  if (std::ranges::find(kInterleaved, config.family) == std::end(kInterleaved)) return 0;
  const bool turned =
      tensor.find(".attn_q.") != std::string_view::npos || tensor.find(".attn_k.") != std::string_view::npos;
  return turned ? config.head_size() : 0;
}

}  // namespace mformer
