#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <limits>
#include <string>

#include "core/formats/model_config.h"
#include "core/formats/quoted_name.h"
#include "modules_registry/error.h"

namespace mformer {
namespace {

constexpr std::int64_t kMaxSize = std::int64_t{1} << 31;
constexpr std::int64_t kMaxLayers = 10'000;
constexpr std::int64_t kMaxModules = 1'000'000;     // of one kind, in one layer
constexpr double kMaxParameters = 1099511627776.0;  // 2^40

// 1e+308 and not its 309 digits.
std::string number_text(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%g", value);
  return text;
}

class Validator {
 public:
  Validator(const ModelConfig& config, const std::string& source) : config_(config), source_(source) {}

  void run() const {
    sizes();
    counts("att", config_.n_att_experts, config_.k_att, config_.n_att_experts_per_layer);
    counts("mlp", config_.n_mlp_experts, config_.k_mlp, config_.n_mlp_experts_per_layer);
    sampling();
    choices();
    fractions();
    tokens();
    total();
  }

 private:
  [[noreturn]] void fail(const std::string& what, const std::string& hint) const {
    throw Error(source_ + ": " + what, hint);
  }

  void range(const char* field, std::int64_t value, std::int64_t least, std::int64_t most) const {
    if (value >= least && value <= most) return;
    fail("'" + std::string(field) + "' is " + std::to_string(value),
         "it must lie between " + std::to_string(least) + " and " + std::to_string(most));
  }

  void sizes() const {
    range("vocab_size", config_.vocab_size, 1, kMaxSize);
    range("block_size", config_.block_size, 1, kMaxSize);
    range("history_length", config_.history_length, 0, kMaxSize);
    range("n_embd", config_.n_embd, 1, kMaxSize);
    range("n_layer", config_.n_layer, 1, kMaxLayers);
    range("n_head", config_.n_head, 1, kMaxSize);
    range("att_hidden", config_.att_hidden, 1, kMaxSize);
    range("ffd_hidden", config_.ffd_hidden, 1, kMaxSize);
    range("gating_size", config_.gating_size, 1, kMaxSize);
    if (config_.att_hidden % config_.n_head != 0) {
      fail("'n_head' is " + std::to_string(config_.n_head) + ", which does not divide 'att_hidden' (" +
               std::to_string(config_.att_hidden) + ")",
           "choose n_head so that every head has the same whole width");
    }
  }

  void counts(const std::string& kind, std::int64_t experts, std::int64_t k,
              const std::vector<std::int64_t>& per_layer) const {
    const std::string count_field = "n_" + kind + "_experts";
    const std::string k_field = "k_" + kind;
    range(count_field.c_str(), experts, 1, kMaxModules);
    range(k_field.c_str(), k, 1, kMaxModules);
    if (k > experts) {
      fail("'" + k_field + "' is " + std::to_string(k) + ", more than the " + std::to_string(experts) +
               " modules of '" + count_field + "'",
           "a token can't choose more modules than a layer has: lower " + k_field + " or raise " + count_field);
    }
    if (per_layer.empty()) return;
    if (static_cast<std::int64_t>(per_layer.size()) != config_.n_layer) {
      fail("'" + count_field + "_per_layer' has " + std::to_string(per_layer.size()) + " entries for " +
               std::to_string(config_.n_layer) + " layers",
           "give one entry per layer, or leave the field out for equal counts");
    }
    std::int64_t most = 0;
    for (std::size_t layer = 0; layer < per_layer.size(); ++layer) {
      if (per_layer[layer] < k) {
        std::string what = "layer " + std::to_string(layer) + " has " + std::to_string(per_layer[layer]) + " ";
        what.append(kind).append(" modules, fewer than '").append(k_field).append("' (");
        fail(what + std::to_string(k) + ")", "every layer needs at least " + k_field + " modules");
      }
      most = std::max(most, per_layer[layer]);
    }
    if (most != experts) {
      fail("'" + count_field + "' is " + std::to_string(experts) + ", but the largest entry of '" + count_field +
               "_per_layer' is " + std::to_string(most),
           "where layers differ, the scalar field holds the maximum");
    }
  }

  void sampling() const {
    const std::int64_t least_k = std::min(config_.k_att, config_.k_mlp);
    if (config_.sample_topk < 0 || config_.sample_topk > least_k) {
      fail("'sample_topk' is " + std::to_string(config_.sample_topk),
           "it counts how many of the chosen modules are drawn at random: from 0 to the smaller k, here " +
               std::to_string(least_k));
    }
  }

  template <std::size_t N>
  void choice(const char* field, const std::string& value, const std::array<const char*, N>& allowed) const {
    std::string list;
    for (const char* name : allowed) {
      if (value == name) return;
      if (!list.empty()) list += ", ";
      list += name;
    }
    fail("'" + std::string(field) + "' is " + quoted_name(value) + ", which is unknown", "it can be one of: " + list);
  }

  void choices() const {
    choice("gate_type", config_.gate_type, std::array{"mlp", "linear", "gmm"});
    choice("aux_loss_type", config_.aux_loss_type, std::array{"mi", "switch"});
    choice("activation_function", config_.activation_function, std::array{"gelu_new", "gelu", "relu", "silu", "tanh"});
    choice("torch_dtype", config_.torch_dtype, std::array{"float32", "bfloat16", "float16"});
    if (config_.is_quantized()) choice("quantization", config_.quantization, std::array{"int8"});
  }

  void dropout(const char* field, double value) const {
    if (value >= 0 && value < 1) return;
    fail("'" + std::string(field) + "' is " + number_text(value), "a dropout rate is at least 0 and less than 1");
  }

  void not_negative(const char* field, double value) const {
    if (value >= 0 && std::isfinite(value)) return;
    fail("'" + std::string(field) + "' is " + number_text(value), "it must be a finite number from 0 up");
  }

  void fractions() const {
    dropout("resid_pdrop", config_.resid_pdrop);
    dropout("embd_pdrop", config_.embd_pdrop);
    dropout("attn_pdrop", config_.attn_pdrop);
    dropout("moe_pdrop", config_.moe_pdrop);
    not_negative("aux_loss_weight", config_.aux_loss_weight);
    not_negative("layer_norm_epsilon", config_.layer_norm_epsilon);
    not_negative("initializer_range", config_.initializer_range);
  }

  // The computation never looks at them, and the reference's defaults (50256) stand beside small vocabularies too.
  void tokens() const {
    constexpr std::int64_t kMost = std::numeric_limits<std::int32_t>::max();
    range("bos_token_id", config_.bos_token_id, -1, kMost);
    range("eos_token_id", config_.eos_token_id, -1, kMost);
    for (const std::int64_t id : config_.more_eos_token_ids) range("eos_token_id", id, 0, kMost);
  }

  // Sizes that are possible alone may still multiply to something that is not; floating point can't overflow here.
  void total() const {
    const auto width = static_cast<double>(config_.n_embd);
    double parameters = 2.0 * static_cast<double>(config_.vocab_size) * width;
    const double kv = 2.0 * width * static_cast<double>(config_.att_hidden);
    const auto gating = static_cast<double>(config_.gating_size);
    for (std::int64_t layer = 0; layer < config_.n_layer; ++layer) {
      const auto att = static_cast<double>(config_.n_att(layer));
      const auto mlp = static_cast<double>(config_.n_mlp(layer));
      const double routers = 2.0 * width * gating + (att + mlp) * std::max(gating, width);
      parameters +=
          kv +
          2.0 * width *
              (att * static_cast<double>(config_.att_hidden) + mlp * static_cast<double>(config_.ffd_hidden)) +
          routers;
    }
    if (parameters > kMaxParameters) {
      fail("a model of these sizes has more than 2^40 parameters", "lower the sizes, layers or module counts");
    }
  }

  const ModelConfig& config_;
  const std::string& source_;
};

}  // namespace

void ModelConfig::validate(const std::string& source) const {
  Validator(*this, source).run();
}

}  // namespace mformer
