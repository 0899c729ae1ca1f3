#include <nlohmann/json.hpp>

#include "core/families/families.h"
#include "core/families/tensor_table.h"
#include "core/formats/parameter_names.h"

// The ModuleFormer reference (arXiv 2306.04640). ModelConfig has its field names, so it reads and writes config.json.
namespace mformer::moduleformer {
namespace {

void add_matrices(TensorTable& table, const std::string& name, std::int64_t layer, Kind kind, const std::string& map) {
  table.stacked(name, layer, kind, map, false);
  if (table.config().quantization == "int8") table.stacked(name + "_scale", layer, kind, map + "_scale", false);
}

void add_router(TensorTable& table, const std::string& gate, std::int64_t layer, Kind kind) {
  const std::string router = names::bank(layer, kind) + ".router";
  const GateType type = table.config().gate_type;
  if (type == GateType::gmm) {
    table.whole(gate + ".w_gate.weight", router + ".weight");
    table.whole(gate + ".temperature", router + ".temperature");
    table.stacked(gate + ".expert_centroids", layer, kind, ".row", false);
  } else if (type == GateType::mlp) {
    table.whole(gate + ".w_gate.0.weight", router + ".weight");
    table.whole(gate + ".w_gate.0.bias", router + ".bias");
    table.stacked(gate + ".w_gate.3.weight", layer, kind, ".row", false);
  } else {
    table.stacked(gate + ".w_gate.0.weight", layer, kind, ".row", false);
  }
}

/// The reference keeps an attention bank in `attn.q_proj`, a feed-forward bank in `mlpf`.
void add_bank(TensorTable& table, std::int64_t layer, Kind kind, const std::string& prefix) {
  add_matrices(table, prefix + ".experts.weight", layer, kind, ".in");
  add_matrices(table, prefix + ".output_experts.weight", layer, kind, ".out");
  add_router(table, prefix + ".gate", layer, kind);
}

void add_affine(TensorTable& table, const std::string& name, const std::string& ours) {
  table.whole(name + ".weight", ours + ".weight");
  table.whole(name + ".bias", ours + ".bias");
}

void add_block(TensorTable& table, std::int64_t layer) {
  const std::string block = "transformer.h." + std::to_string(layer), ours = names::layer(layer);
  add_affine(table, block + ".ln_1", ours + ".ln_1");
  add_bank(table, layer, Kind::att, block + ".attn.q_proj");
  if (table.config().has_kv_projection()) {
    add_affine(table, block + ".attn.k_proj", ours + ".k_proj");
    add_affine(table, block + ".attn.v_proj", ours + ".v_proj");
  }
  add_affine(table, block + ".ln_2", ours + ".ln_2");
  add_bank(table, layer, Kind::mlp, block + ".mlpf");
}

std::vector<StoredTensor> tensors(const ModelConfig& config) {
  TensorTable table(config);
  table.whole("transformer.wte.weight", std::string(names::kEmbedding));
  for (std::int64_t layer = 0; layer < config.n_layer; ++layer) add_block(table, layer);
  add_affine(table, "transformer.ln_f", std::string(names::kFinalNorm));
  if (!config.tie_word_embeddings) table.whole("lm_head.weight", std::string(names::kHead));
  return table.take();
}

/// Buffers of the reference's attention.
bool is_buffer(std::string_view name) {
  return name.starts_with("transformer.h.") && (name.ends_with(".attn.mask") || name.ends_with(".attn.cum_weight"));
}

}  // namespace

const Family kFamily = {"moduleformer", "ModuleFormerForCausalLM", nullptr,         nullptr, tensors,
                        is_buffer,      "transformer.wte.weight",  "lm_head.weight"};

}  // namespace mformer::moduleformer
