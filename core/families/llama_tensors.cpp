#include "core/families/llama_blocks.h"
#include "core/families/tensor_table.h"
#include "core/formats/parameter_names.h"

namespace mformer {

std::string llama_layer(std::int64_t layer) {
  return "model.layers." + std::to_string(layer);
}

std::vector<StoredTensor> llama_tensors(const ModelConfig& config,
                                        void (*block)(TensorTable& table, std::int64_t layer)) {
  TensorTable table(config);
  table.whole("model.embed_tokens.weight", std::string(names::kEmbedding));
  for (std::int64_t layer = 0; layer < config.n_layer; ++layer) {
    table.whole(llama_layer(layer) + ".input_layernorm.weight", names::layer(layer) + ".ln_1.weight");
    block(table, layer);
    table.whole(llama_layer(layer) + ".post_attention_layernorm.weight", names::layer(layer) + ".ln_2.weight");
  }
  table.whole("model.norm.weight", std::string(names::kFinalNorm) + ".weight");
  if (!config.tie_word_embeddings) table.whole("lm_head.weight", std::string(names::kHead));
  return table.take();
}

namespace {

/// Of queries, keys or values: `size` rows of the stored matrix for each module, from its column `to` on.
struct HeadRows {
  const char* name;
  std::int64_t size, to;
};

StoredTensor head_rows(const TensorTable& table, const std::string& name, std::int64_t layer, const HeadRows& rows,
                       const char* suffix, bool matrix) {
  const std::int64_t modules = table.config().n_att(layer);
  StoredTensor tensor{name, {modules * rows.size}, {}};
  if (matrix) tensor.shape.push_back(table.config().n_embd);
  for (std::int64_t m = 0; m < modules; ++m) {
    tensor.pieces.push_back(
        {names::module(layer, Kind::att, m) + suffix, -1, {m * rows.size, rows.size}, {}, true, rows.to});
  }
  return tensor;
}

}  // namespace

void add_dense_attention(TensorTable& table, std::int64_t layer) {
  const ModelConfig& config = table.config();
  const std::string prefix = llama_layer(layer) + ".self_attn.";
  const std::int64_t queries = config.att_hidden, size = config.head_size(), modules = config.n_att(layer);
  for (const HeadRows& rows :
       {HeadRows{"q_proj", queries, 0}, HeadRows{"k_proj", size, queries}, HeadRows{"v_proj", size, queries + size}}) {
    table.add(head_rows(table, prefix + rows.name + ".weight", layer, rows, ".in", true));
    if (config.form.in_bias_att)
      table.add(head_rows(table, prefix + rows.name + ".bias", layer, rows, ".in_bias", false));
  }
  StoredTensor out{prefix + "o_proj.weight", {config.n_embd, modules * queries}, {}};
  for (std::int64_t m = 0; m < modules; ++m) {
    out.pieces.push_back({names::module(layer, Kind::att, m) + ".out", -1, {}, {m * queries, queries}});
  }
  table.add(std::move(out));
  if (config.form.out_bias_att) table.whole(prefix + "o_proj.bias", names::layer(layer) + ".att_bias");
  if (config.form.qk_norm == QkNorm::head) {
    table.whole(prefix + "q_norm.weight", names::layer(layer) + ".q_norm");
    table.whole(prefix + "k_norm.weight", names::layer(layer) + ".k_norm");
  } else if (config.form.qk_norm == QkNorm::whole) {
    table.add(head_rows(table, prefix + "q_norm.weight", layer, {"", queries, 0}, ".head_norm", false));
    table.add(head_rows(table, prefix + "k_norm.weight", layer, {"", size, queries}, ".head_norm", false));
  }
}

void add_slices(TensorTable& table, std::int64_t layer, const std::string& prefix) {
  const ModelConfig& config = table.config();
  const std::int64_t slices = config.n_mlp(layer), width = config.form.slice_hidden;
  const auto add_rows = [&](const char* name, std::int64_t to) {
    StoredTensor weight{prefix + name + ".weight", {slices * width, config.n_embd}, {}};
    StoredTensor bias{prefix + name + ".bias", {slices * width}, {}};
    for (std::int64_t n = 0; n < slices; ++n) {
      const std::string module = names::module(layer, Kind::mlp, n);
      weight.pieces.push_back({module + ".in", -1, {n * width, width}, {}, true, to});
      bias.pieces.push_back({module + ".in_bias", -1, {n * width, width}, {}, true, to});
    }
    table.add(std::move(weight));
    if (config.form.in_bias_mlp) table.add(std::move(bias));
  };
  add_rows(".gate_proj", 0);
  add_rows(".up_proj", width);
  StoredTensor down{prefix + ".down_proj.weight", {config.n_embd, slices * width}, {}};
  for (std::int64_t n = 0; n < slices; ++n) {
    down.pieces.push_back({names::module(layer, Kind::mlp, n) + ".out", -1, {}, {n * width, width}});
  }
  table.add(std::move(down));
  if (config.form.out_bias_mlp) table.whole(prefix + ".down_proj.bias", names::layer(layer) + ".mlp_bias");
}

void add_experts(TensorTable& table, std::int64_t layer, const std::string& prefix, const char* gate, const char* up,
                 const char* down) {
  const ModelConfig& config = table.config();
  for (std::int64_t e = 0; e < config.n_mlp(layer); ++e) {
    const std::string expert = prefix + "." + std::to_string(e) + ".", module = names::module(layer, Kind::mlp, e);
    table.columns(expert + gate + ".weight", module + ".in", 0, config.ffd_hidden);
    table.columns(expert + up + ".weight", module + ".in", config.ffd_hidden, config.ffd_hidden);
    table.whole(expert + down + ".weight", module + ".out", true);
  }
}

void add_mixture(TensorTable& table, std::int64_t layer) {
  const std::string mlp = llama_layer(layer) + ".mlp";
  if (!table.config().form.mlp_routed(layer)) return add_slices(table, layer, mlp);
  table.stacked(mlp + ".gate.weight", layer, Kind::mlp, ".row", false);
  add_experts(table, layer, mlp + ".experts", "gate_proj", "up_proj", "down_proj");
}

namespace {

/// What old versions stored beside the parameters.
bool is_llama_buffer(std::string_view name) {
  return name.ends_with(".rotary_emb.inv_freq");
}

}  // namespace

Family llama_kin(std::string_view model_type, std::string_view architecture,
                 void (*read)(HubFields& hub, ModelConfig& config),
                 void (*write)(const ModelConfig& config, nlohmann::json& hub),
                 std::vector<StoredTensor> (*tensors)(const ModelConfig& config)) {
  return {model_type,      architecture, read, write, tensors, is_llama_buffer, "model.embed_tokens.weight",
          "lm_head.weight"};
}

}  // namespace mformer
