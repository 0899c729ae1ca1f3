#include <algorithm>
#include <string>

#include "core/surgery/upcycle.h"
#include "modules_registry/error.h"

namespace mformer {
namespace {

/// The hint for a layer that can't be cut into `wanted` equal parts: the next smaller number that can.
std::string nearest_divisor(std::int64_t width, std::int64_t wanted) {
  std::int64_t slices = std::min(wanted, width);
  while (slices > 1 && width % slices != 0) --slices;
  return slices > 1 ? "a number that divides the width, for example --slices " + std::to_string(slices)
                    : "--experts " + std::to_string(wanted) + " makes copies of the whole layer instead";
}

/// Layers with a router set what the new ones must be like, since one config describes all.
void require_fitting(const Model& model, const UpcyclePlan& plan, const std::string& name) {
  const ModelConfig& config = model.config;
  const bool others_route = routes_feed_forward(model);
  if ((others_route || config.form.att_routed) && config.gate_type != GateType::linear) {
    throw Error(name + " has routers of the type " + std::string(to_string(config.gate_type)) + " already",
                "only models whose routers are linear can be upcycled");
  }
  if (!others_route) return;
  const std::string others = "other layers of " + name + " have routers already, ";
  if (config.form.shared_hidden > 0) {
    throw Error(others + "beside experts that every token takes, which dense layers do not have",
                "this model can't be upcycled any further; mformer extend adds modules to it");
  }
  if (plan.k != config.k_mlp) {
    throw UsageError(others + "by which a token chooses " + std::to_string(config.k_mlp) + " modules",
                     "the same number for all: --k " + std::to_string(config.k_mlp));
  }
  if (plan.form == UpcycleForm::copies && !config.form.renormalise && !config.form.top_k_first) {
    throw Error(others + "whose gates do not sum to 1: copies would not give what the layer gives",
                "slices do: --slices N in place of --experts");
  }
  const std::int64_t units = units_of_a_module(model, plan);
  if (units > config.ffd_hidden) {
    throw UsageError(others + "with modules " + std::to_string(config.ffd_hidden) + " wide; these would be " +
                         std::to_string(units) + " wide",
                     "slices may be narrow enough: --slices N");
  }
}

}  // namespace

void UpcyclePlan::validate() const {
  require_upcycling(form, modules, k);
}

void require_upcyclable(const Model& model, const UpcyclePlan& plan, const std::string& name) {
  plan.validate();
  const std::vector<std::int64_t> layers = dense_layers(model);
  if (layers.empty()) {
    throw Error("every feed-forward layer of " + name + " has a router already, or no module",
                "mformer extend adds modules to it");
  }
  if (model.config.is_quantized()) {
    throw Error("the modules of " + name + " are int8", "upcycle the version that they were made from");
  }
  if (model.config.form.in_bias_mlp) {
    throw Error("the feed-forward layers of " + name + " have biases, which modules behind a router do not",
                "only layers without (mlp_bias false) can be upcycled");
  }
  for (const std::int64_t layer : layers) {
    for (const Module& module : model.blocks[layer].mlp.modules) {
      if (!module.frozen) continue;
      throw Error("layer " + std::to_string(layer) + " of " + name + " has frozen modules, which would become others",
                  "mformer unfreeze kind=mlp");
    }
  }
  require_fitting(model, plan, name);
  const std::int64_t width = widest_dense_layer(model);
  if (plan.form == UpcycleForm::slices && width % plan.modules != 0) {
    throw UsageError("a feed-forward layer of width " + std::to_string(width) + " can't be cut into " +
                         std::to_string(plan.modules) + " equal slices",
                     nearest_divisor(width, plan.modules));
  }
  upcycled_config(model, plan, plan.k).validate("the upcycled model");
}

}  // namespace mformer
