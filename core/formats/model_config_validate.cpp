#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <functional>
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
constexpr std::int64_t kMaxModulesInAll = 1 << 18;  // each is a row of a table or more
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
    counts("att", config_.n_att_experts, config_.k_att, config_.n_att_experts_per_layer, config_.form.att_routed);
    counts("mlp", config_.n_mlp_experts, config_.k_mlp, config_.n_mlp_experts_per_layer, routes_mlp());
    form();
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

  /// Whether any layer chooses among its feed-forward modules.
  bool routes_mlp() const { return static_cast<std::int64_t>(config_.form.unrouted_layers.size()) < config_.n_layer; }

  /// Of an unrouted bank there may be no module at all: its layer then has no such half.
  void counts(const std::string& kind, std::int64_t experts, std::int64_t k, const std::vector<std::int64_t>& per_layer,
              bool routed) const {
    const std::string count_field = "n_" + kind + "_experts";
    const std::string k_field = "k_" + kind;
    range(count_field.c_str(), experts, routed ? 1 : 0, kMaxModules);
    range(k_field.c_str(), k, routed ? 1 : 0, kMaxModules);
    if (routed && k > experts) {
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
      const bool layer_routed = config_.routed(kind == "att" ? Kind::att : Kind::mlp, static_cast<std::int64_t>(layer));
      if (per_layer[layer] < (layer_routed ? k : 0)) {
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
    const std::int64_t least_k = !routes_mlp()             ? 0
                                 : config_.form.att_routed ? std::min(config_.k_att, config_.k_mlp)
                                                           : config_.k_mlp;
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
    choice("torch_dtype", config_.torch_dtype, std::array{"float32", "bfloat16", "float16"});
    if (config_.is_quantized()) {
      choice("quantization", config_.quantization, std::array{"int8", "int8_groups", "int4_groups"});
    }
  }

  void positive(const char* field, double value) const {
    if (value > 0 && std::isfinite(value)) return;
    fail("'" + std::string(field) + "' is " + number_text(value), "it must be a finite number above 0");
  }

  void form() const {
    const ModelForm& form = config_.form;
    not_negative("block_eps", form.block_eps);
    not_negative("final_eps", form.final_eps);
    not_negative("clip_qkv", form.clip_qkv);
    not_negative("attention_scale", form.attention_scale);
    positive("embedding_scale", form.embedding_scale);
    positive("residual_scale", form.residual_scale);
    positive("logit_divisor", form.logit_divisor);
    range("shared_hidden", form.shared_hidden, 0, kMaxSize);
    unrouted(form);
    attention(form);
  }

  void unrouted(const ModelForm& form) const {
    if (!form.unrouted_layers.empty()) range("slice_hidden", form.slice_hidden, 1, kMaxSize);
    ascending("unrouted_layers", form.unrouted_layers);
    ascending("unwindowed_layers", form.unwindowed_layers);
  }

  void ascending(const char* field, const std::vector<std::int64_t>& layers) const {
    if (layers.empty()) return;
    const bool in_order = std::adjacent_find(layers.begin(), layers.end(), std::greater_equal<>()) == layers.end();
    if (!in_order || layers.front() < 0 || layers.back() >= config_.n_layer) {
      fail("'" + std::string(field) + "' does not list layers of the model in ascending order", "layers count from 0");
    }
  }

  void attention(const ModelForm& form) const {
    if (form.attention == AttentionKind::stick_breaking) {
      if (form.att_routed && form.rotary.kind == RotaryKind::none && form.window == 0 && form.clip_qkv == 0 &&
          form.qk_norm == QkNorm::none && form.attention_scale == 0) {
        return;
      }
      fail("stick-breaking attention has no positions, windows, limits, norms or scales, and always a router",
           "set 'attention' to softmax");
    }
    if (form.qk_norm != QkNorm::none && form.att_routed) {
      fail("queries and keys are normed where modules are chosen among", "'qk_norm' goes with 'att_routed' false");
    }
    if (form.rotary.kind == RotaryKind::none) return;
    positive("theta", form.rotary.theta);
    positive("factor", form.rotary.factor);
    if (config_.head_size() % 2 != 0) {
      fail("heads are " + std::to_string(config_.head_size()) + " wide", "rotary positions turn halves: an even width");
    }
    const bool stretched = form.rotary.kind == RotaryKind::llama3 || form.rotary.kind == RotaryKind::yarn;
    positive("beta_fast", form.rotary.beta_fast);
    positive("beta_slow", form.rotary.beta_slow);
    not_negative("attention_factor", form.rotary.attention_factor);
    if (form.rotary.kind == RotaryKind::yarn && form.rotary.theta == 1) {
      fail("yarn's positions have the 'rope_theta' 1", "all dimensions would turn alike: a number above 1");
    }
    if (stretched) range("original_context", form.rotary.original_context, 1, kMaxSize);
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
    std::int64_t modules = 0;
    double parameters = 2.0 * static_cast<double>(config_.vocab_size) * width;
    const double kv = 2.0 * width * static_cast<double>(config_.att_hidden) +
                      3.0 * width * static_cast<double>(config_.form.shared_hidden);
    const auto gating = static_cast<double>(config_.gating_size);
    for (std::int64_t layer = 0; layer < config_.n_layer; ++layer) {
      const auto att = static_cast<double>(config_.n_att(layer));
      const auto mlp = static_cast<double>(config_.n_mlp(layer));
      modules += config_.n_att(layer) + config_.n_mlp(layer);
      const double routers = 2.0 * width * gating + (att + mlp) * std::max(gating, width);
      parameters +=
          kv + width * (att * module_width(Kind::att, layer) + mlp * module_width(Kind::mlp, layer)) + routers;
    }
    if (parameters > kMaxParameters) {
      fail("a model of these sizes has more than 2^40 parameters", "lower the sizes, layers or module counts");
    }
    if (modules > kMaxModulesInAll) {
      fail("a model of these sizes has " + std::to_string(modules) + " modules",
           "lower the layers or module counts: there can be " + std::to_string(kMaxModulesInAll));
    }
  }

  double module_width(Kind kind, std::int64_t layer) const {
    return static_cast<double>(config_.in_width(kind, layer)) + static_cast<double>(config_.hidden(kind, layer));
  }

  const ModelConfig& config_;
  const std::string& source_;
};

}  // namespace

void ModelConfig::validate(const std::string& source) const {
  Validator(*this, source).run();
}

}  // namespace mformer
