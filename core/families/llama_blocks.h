#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "core/families/family.h"

// What Llama and the families that grew from it spell alike: fields of config.json and names of tensors. JSON is read
// in the spellings of transformers 4 and 5 and written in that of 4, which both read.
namespace mformer {

class HubFields;
class TensorTable;

/// Sizes, tokens, dtype, RMS norms with `default_eps`, rotary positions with `default_theta`.
void read_trunk(HubFields& hub, ModelConfig& config, double default_eps, double default_theta = 10'000);
/// The activation of this field, "silu" where it is absent.
ActivationFunction read_activation(HubFields& hub, const char* field);
/// The heads that share a key and a value become one attention module, of which every token takes all.
/// `default_size`: of heads, where `head_dim` is not there; 0 = width / heads.
void read_dense_attention(HubFields& hub, ModelConfig& config, std::int64_t default_size = 0);
/// Feed-forward layers `layers` of this hidden width, cut into slices (ReadOptions).
void read_dense_feed_forward(const HubFields& hub, ModelConfig& config, std::int64_t width,
                             std::vector<std::int64_t> layers);
/// Experts behind one matrix of router rows, with the balance loss over all routers together. `count`: the name of the
/// field, tried in this order; `width`: hidden width of an expert.
void read_experts(HubFields& hub, ModelConfig& config, const std::vector<const char*>& count, std::int64_t width,
                  double default_aux = 0.001);

/// Throws Error where the modules are int8, which no other family's checkpoint can hold.
void write_trunk(const ModelConfig& config, nlohmann::json& hub);
void write_dense_attention(const ModelConfig& config, nlohmann::json& hub);
/// The hidden width of the unrouted feed-forward layers.
std::int64_t dense_width(const ModelConfig& config);
void write_experts(const ModelConfig& config, nlohmann::json& hub, const char* count);

/// How many modules of that kind each layer has, of those with a router or of those without. Throws Error, naming the
/// layers, where they differ.
std::int64_t equal_count(const ModelConfig& config, Kind kind, bool routed);
[[noreturn]] void refuse_export(const ModelConfig& config, const std::string& why, const std::string& hint = "");

/// "model.layers.3"
std::string llama_layer(std::int64_t layer);
/// A family that differs in its blocks and its config.
Family llama_kin(std::string_view model_type, std::string_view architecture,
                 void (*read)(HubFields& hub, ModelConfig& config),
                 void (*write)(const ModelConfig& config, nlohmann::json& hub),
                 std::vector<StoredTensor> (*tensors)(const ModelConfig& config));
/// Embedding and norms, the blocks by `block`, head.
std::vector<StoredTensor> llama_tensors(const ModelConfig& config,
                                        void (*block)(TensorTable& table, std::int64_t layer));
/// The same as a function of the config alone, for Family::tensors.
template <void (*kBlock)(TensorTable& table, std::int64_t layer)>
std::vector<StoredTensor> llama_tensors(const ModelConfig& config) {
  return llama_tensors(config, kBlock);
}
/// self_attn.{q,k,v,o}_proj with what biases and norms the form has.
void add_dense_attention(TensorTable& table, std::int64_t layer);
/// {gate,up,down}_proj below `prefix`, of an unrouted layer.
void add_slices(TensorTable& table, std::int64_t layer, const std::string& prefix);
/// {gate,up,down} of every expert below `prefix`: "PREFIX.3.GATE.weight".
void add_experts(TensorTable& table, std::int64_t layer, const std::string& prefix, const char* gate, const char* up,
                 const char* down);
/// mlp.gate and mlp.experts with {gate,up,down}_proj, or slices where the layer has no router: OLMoE and the Qwens.
void add_mixture(TensorTable& table, std::int64_t layer);

}  // namespace mformer
