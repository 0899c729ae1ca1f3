#include "core/formats/parameter_shapes.h"

#include <utility>

#include "core/formats/parameter_names.h"

namespace mformer {
namespace {

using Role = ParameterRole;

class ShapeList {
 public:
  explicit ShapeList(const ModelConfig& config) : config_(config), form_(config.form) {}

  std::vector<ParameterShape> build() {
    add(std::string(names::kEmbedding), {config_.vocab_size, width()}, Role::embedding);
    for (std::int64_t layer = 0; layer < config_.n_layer; ++layer) add_block(layer);
    add_norm(std::string(names::kFinalNorm));
    if (!config_.tie_word_embeddings) add(std::string(names::kHead), {config_.vocab_size, width()}, Role::head);
    return std::move(shapes_);
  }

 private:
  std::int64_t width() const { return config_.n_embd; }

  void add(std::string name, std::vector<std::int64_t> shape, Role role, bool codes = false) {
    ParameterShape added{std::move(name), std::move(shape), role, codes};
    if (config_.block_bits() != 0 && is_matrix(role)) make_blocks(added);
    shapes_.push_back(std::move(added));
  }

  void make_blocks(ParameterShape& matrix) const {
    constexpr std::int64_t kGroup = 32, kBytes8 = 34, kBytes4 = 20;
    const bool eight = matrix.role == Role::embedding || matrix.role == Role::head || config_.block_bits() == 8;
    const bool by_output = !has_rows_of_inputs(matrix.role);
    const std::int64_t outputs = matrix.shape[by_output ? 0 : 1];
    matrix.inputs = matrix.shape[by_output ? 1 : 0];
    matrix.bits = eight ? 8 : 4;
    matrix.shape = {outputs, (matrix.inputs + kGroup - 1) / kGroup, eight ? kBytes8 : kBytes4};
  }

  void add_norm(const std::string& name) {
    add(name + ".weight", {width()}, Role::norm);
    if (form_.norm == NormKind::layer) add(name + ".bias", {width()}, Role::norm);
  }

  void add_block(std::int64_t layer) {
    const std::string block = names::layer(layer);
    add_norm(block + ".ln_1");
    if (config_.has_kv_projection()) {
      for (const char* projection : {".k_proj", ".v_proj"}) {
        add(block + projection + ".weight", {config_.att_hidden, width()}, Role::projection);
        if (form_.kv_bias) add(block + projection + ".bias", {config_.att_hidden}, Role::bias);
      }
    }
    if (form_.qk_norm == QkNorm::head) {
      add(block + ".q_norm", {config_.head_size()}, Role::norm);
      add(block + ".k_norm", {config_.head_size()}, Role::norm);
    }
    add_bank(layer, Kind::att);
    if (form_.out_bias_att) add(block + ".att_bias", {width()}, Role::bias);
    add_norm(block + ".ln_2");
    add_bank(layer, Kind::mlp);
    if (form_.out_bias_mlp) add(block + ".mlp_bias", {width()}, Role::bias);
    if (form_.shared_hidden > 0 && form_.mlp_routed(layer)) add_shared(block + ".shared");
  }

  void add_shared(const std::string& name) {
    add(name + ".in", {width(), form_.shared_hidden * (form_.gated ? 2 : 1)}, Role::shared_map);
    add(name + ".out", {form_.shared_hidden, width()}, Role::shared_map);
    if (form_.shared_gate) add(name + ".gate", {width()}, Role::router_weight);
  }

  void add_bank(std::int64_t layer, Kind kind) {
    const std::string bank = names::bank(layer, kind);
    const bool routed = config_.routed(kind, layer);
    if (routed && config_.gate_type != GateType::linear) {
      add(bank + ".router.weight", {config_.gating_size, width()}, Role::router_weight);
      if (config_.gate_type == GateType::mlp) add(bank + ".router.bias", {config_.gating_size}, Role::router_bias);
      if (config_.gate_type == GateType::gmm) add(bank + ".router.temperature", {1}, Role::temperature);
    }
    for (std::int64_t i = 0; i < config_.modules(kind, layer); ++i) add_module(layer, kind, i);
  }

  void add_module(std::int64_t layer, Kind kind, std::int64_t position) {
    const std::string module = names::module(layer, kind, position);
    const std::int64_t columns = config_.in_width(kind, layer);
    const bool routed = config_.routed(kind, layer), codes = config_.quantization == "int8";
    const std::int64_t row = config_.gate_type == GateType::linear ? width() : config_.gating_size;
    add(module + ".in", {width(), columns}, Role::map_in, codes);
    add(module + ".out", {config_.hidden(kind, layer), width()}, Role::map_out, codes);
    if (routed) add(module + ".row", {row}, Role::row);
    if (!routed && (kind == Kind::att ? form_.in_bias_att : form_.in_bias_mlp)) {
      add(module + ".in_bias", {columns}, Role::module_bias);
    }
    if (kind == Kind::att && form_.qk_norm == QkNorm::whole) {
      add(module + ".head_norm", {config_.att_hidden + config_.head_size()}, Role::head_norm);
    }
    if (codes) {
      add(module + ".in_scale", {columns}, Role::scale);
      add(module + ".out_scale", {width()}, Role::scale);
    }
  }

  const ModelConfig& config_;
  const ModelForm& form_;
  std::vector<ParameterShape> shapes_;
};

}  // namespace

std::int64_t ParameterShape::count() const {
  if (bits != 0) return shape.front() * inputs;
  std::int64_t product = 1;
  for (const std::int64_t dimension : shape) product *= dimension;
  return product;
}

bool is_matrix(ParameterRole role) {
  return has_rows_of_inputs(role) || role == Role::embedding || role == Role::head || role == Role::projection;
}

bool has_rows_of_inputs(ParameterRole role) {
  return role == Role::shared_map || role == Role::map_in || role == Role::map_out;
}

std::vector<ParameterShape> parameter_shapes(const ModelConfig& config) {
  return ShapeList(config).build();
}

}  // namespace mformer
