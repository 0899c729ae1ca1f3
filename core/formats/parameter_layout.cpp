#include "core/formats/parameter_layout.h"

#include <cmath>
#include <set>

#include "core/formats/quoted_name.h"
#include "core/formats/safetensors_header.h"
#include "modules_registry/error.h"
#include "modules_registry/suggest.h"

namespace mformer {
namespace {

class LayoutBuilder {
 public:
  explicit LayoutBuilder(const ModelConfig& config) : config_(config) {}

  std::vector<ParameterSpec> build() {
    add("transformer.wte.weight", {config_.vocab_size, config_.n_embd});
    for (std::int64_t layer = 0; layer < config_.n_layer; ++layer) add_block(layer);
    add_norm("transformer.ln_f");
    if (!config_.tie_word_embeddings) add("lm_head.weight", {config_.vocab_size, config_.n_embd});
    return std::move(layout_);
  }

 private:
  void add(std::string name, std::vector<std::int64_t> shape, ParameterType type = ParameterType::floating) {
    layout_.push_back({std::move(name), std::move(shape), type});
  }

  void add_matrices(const std::string& name, std::int64_t count, std::int64_t in, std::int64_t out) {
    if (!config_.is_quantized()) return add(name, {count, in, out});
    add(name, {count, in, out}, ParameterType::codes);
    add(name + "_scale", {count, out}, ParameterType::scale);
  }

  void add_norm(const std::string& name) {
    add(name + ".weight", {config_.n_embd});
    add(name + ".bias", {config_.n_embd});
  }

  void add_block(std::int64_t layer) {
    const std::string block = "transformer.h." + std::to_string(layer);
    add_norm(block + ".ln_1");
    add_modules(block + ".attn.q_proj", config_.n_att(layer), config_.att_hidden);
    if (config_.has_kv_projection()) {
      for (const char* projection : {".attn.k_proj", ".attn.v_proj"}) {
        add(block + projection + ".weight", {config_.att_hidden, config_.n_embd});
        add(block + projection + ".bias", {config_.att_hidden});
      }
    }
    add_norm(block + ".ln_2");
    add_modules(block + ".mlpf", config_.n_mlp(layer), config_.ffd_hidden);
  }

  void add_modules(const std::string& name, std::int64_t count, std::int64_t hidden) {
    add_matrices(name + ".experts.weight", count, config_.n_embd, hidden);
    add_matrices(name + ".output_experts.weight", count, hidden, config_.n_embd);
    add_router(name + ".gate", count);
  }

  void add_router(const std::string& name, std::int64_t count) {
    if (config_.gate_type == "mlp") {
      add(name + ".w_gate.0.weight", {config_.gating_size, config_.n_embd});
      add(name + ".w_gate.0.bias", {config_.gating_size});
      add(name + ".w_gate.3.weight", {count, config_.gating_size});
    } else if (config_.gate_type == "linear") {
      add(name + ".w_gate.0.weight", {count, config_.n_embd});
    } else {
      add(name + ".w_gate.weight", {config_.gating_size, config_.n_embd});
      add(name + ".expert_centroids", {count, config_.gating_size});
      add(name + ".temperature", {1});
    }
  }

  const ModelConfig& config_;
  std::vector<ParameterSpec> layout_;
};

bool may_be(DType stored, ParameterType type) {
  switch (type) {
    case ParameterType::codes:
      return stored == DType::I8;
    case ParameterType::scale:
      return stored == DType::F32;
    default:
      return stored == DType::F32 || stored == DType::BF16 || stored == DType::F16;
  }
}

const char* dtype_hint(ParameterType type) {
  switch (type) {
    case ParameterType::codes:
      return "config.json says that the modules are int8: the weights must be I8";
    case ParameterType::scale:
      return "scales are F32: export the checkpoint again";
    default:
      return "weights are read as F32, BF16 or F16: convert them first";
  }
}

void check_scales(const TensorView& tensor, const std::string& where) {
  std::vector<float> scales(tensor.bytes / sizeof(float));
  tensor.read(reinterpret_cast<std::byte*>(scales.data()));
  for (const float scale : scales) {
    if (std::isfinite(scale) && scale > 0) continue;
    throw Error(where + ": '" + tensor.name + "' holds the scale " + std::to_string(scale),
                "scales are finite and above 0: fetch or export the checkpoint again");
  }
}

void check_parameter(const HubFolder& folder, const ParameterSpec& expected) {
  const std::string where = folder.path().string();
  const TensorInfo* tensor = folder.info(expected.name);
  if (tensor == nullptr) {
    throw Error(where + ": the parameter '" + expected.name + "' is missing",
                "the weights do not belong to this config.json, or the export was not complete");
  }
  if (tensor->shape != expected.shape) {
    throw Error(where + ": '" + expected.name + "' has the shape " + shape_text(tensor->shape) +
                    ", but config.json asks for " + shape_text(expected.shape),
                "the weights do not belong to this config.json");
  }
  if (!may_be(tensor->dtype, expected.type)) {
    throw Error(where + ": '" + expected.name + "' is stored as " + std::string(dtype_name(tensor->dtype)),
                dtype_hint(expected.type));
  }
  if (expected.type == ParameterType::scale) check_scales(folder.get(expected.name), where);
}

}  // namespace

std::vector<ParameterSpec> parameter_layout(const ModelConfig& config) {
  return LayoutBuilder(config).build();
}

bool is_ignored_tensor(std::string_view name, const ModelConfig& config) {
  if (name == "lm_head.weight") return config.tie_word_embeddings;
  return name.starts_with("transformer.h.") && (name.ends_with(".attn.mask") || name.ends_with(".attn.cum_weight"));
}

void check_parameters(const HubFolder& folder) {
  std::vector<std::string> expected_names;
  for (const ParameterSpec& expected : parameter_layout(folder.config())) {
    check_parameter(folder, expected);
    expected_names.push_back(expected.name);
  }
  const std::set<std::string_view> known(expected_names.begin(), expected_names.end());
  for (const std::string& name : folder.tensor_names()) {
    if (known.contains(name) || is_ignored_tensor(name, folder.config())) continue;
    throw Error(folder.path().string() + ": the tensor " + quoted_name(name) + " is no parameter of this model",
                suggestion_hint(std::string_view(name).substr(0, 200), expected_names, "parameters", ""));
  }
}

}  // namespace mformer
