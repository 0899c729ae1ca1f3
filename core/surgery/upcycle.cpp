#include "core/surgery/upcycle.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/randn_like.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <set>

namespace mformer {
namespace {

constexpr double kDefaultSpread = 0.02;  // of router rows, where the config's initializer_range is 0

/// The dense layer's own two matrices, its modules joined: gate, up [n_embd, width], out [width, n_embd]. Without a
/// gate `up` is undefined.
struct DenseMaps {
  at::Tensor gate, up, out;
};

DenseMaps dense_maps(const ModelConfig& config, const ModuleBank& bank, std::int64_t width) {
  std::vector<at::Tensor> gates, ups, outs;
  for (const Module& module : bank.modules) {
    const std::int64_t hidden = module.out.size(0);
    gates.push_back(module.in.narrow(1, 0, hidden));
    if (config.form.gated) ups.push_back(module.in.narrow(1, hidden, hidden));
    outs.push_back(module.out);
  }
  const auto joined = [&](const std::vector<at::Tensor>& parts, std::int64_t dimension) {
    const at::Tensor whole = at::cat(parts, dimension);
    const std::int64_t missing = width - whole.size(dimension);
    if (missing == 0) return whole;
    // A unit whose output map is 0 puts out nothing.
    return dimension == 0 ? at::constant_pad_nd(whole, {0, 0, 0, missing}) : at::constant_pad_nd(whole, {0, missing});
  };
  return {joined(gates, 1), config.form.gated ? joined(ups, 1) : at::Tensor(), joined(outs, 0)};
}

/// Hidden units `first` … of the layer as a module.
Module module_of(const DenseMaps& maps, std::int64_t first, std::int64_t count, std::int64_t width) {
  const std::int64_t missing = width - count;
  const auto columns = [&](const at::Tensor& map) {
    return at::constant_pad_nd(map.narrow(1, first, count), {0, missing}).contiguous();
  };
  Module module;
  module.in = maps.up.defined() ? at::cat({columns(maps.gate), columns(maps.up)}, 1) : columns(maps.gate);
  module.out = at::constant_pad_nd(maps.out.narrow(0, first, count), {0, 0, 0, missing}).contiguous();
  return module;
}

std::int64_t width_of(const ModuleBank& bank) {
  std::int64_t width = 0;
  for (const Module& module : bank.modules) width += module.out.size(0);
  return width;
}

/// Hidden units that a module of the plan has of a layer of this width.
std::int64_t units_of(const UpcyclePlan& plan, std::int64_t width) {
  return plan.form == UpcycleForm::copies ? width : width / plan.modules;
}

bool sums_to_one(const ModelConfig& config) {
  return config.form.renormalise || config.form.top_k_first;
}

/// What the output maps of slices are multiplied with while k of them are chosen.
double slice_scale(const ModelConfig& config, std::int64_t modules, std::int64_t k) {
  return static_cast<double>(sums_to_one(config) ? k : modules);
}

at::Tensor columns_of(const at::Tensor& map, const at::Tensor& order) {
  return map.defined() ? map.index_select(1, order) : map;
}

ModuleBank bank_of(const ModelConfig& config, const ModuleBank& dense, const UpcyclePlan& plan, std::int64_t width,
                   const at::Tensor& order, at::Generator& generator) {
  DenseMaps maps = dense_maps(config, dense, width);
  if (order.defined())
    maps = {columns_of(maps.gate, order), columns_of(maps.up, order), maps.out.index_select(0, order)};
  const std::int64_t units = units_of(plan, width);
  const bool copies = plan.form == UpcycleForm::copies;
  const double spread = config.initializer_range > 0 ? config.initializer_range : kDefaultSpread;
  ModuleBank bank;
  bank.kind = Kind::mlp;
  bank.k = copies ? plan.k : plan.modules;
  for (std::int64_t i = 0; i < plan.modules; ++i) {
    Module module =
        copies && i > 0 ? bank.modules.front() : module_of(maps, copies ? 0 : i * units, units, config.ffd_hidden);
    const at::Tensor row = copies ? at::empty({config.n_embd}, at::kFloat).normal_(0, spread, generator)
                                  : at::zeros({config.n_embd}, at::kFloat);
    module.row = row.to(module.in.scalar_type());
    if (!copies) module.out.mul_(slice_scale(config, plan.modules, plan.modules));
    bank.modules.push_back(std::move(module));
  }
  return bank;
}

}  // namespace

std::vector<std::int64_t> dense_layers(const Model& model) {
  std::vector<std::int64_t> layers;
  for (std::size_t l = 0; l < model.blocks.size(); ++l) {
    const ModuleBank& bank = model.blocks[l].mlp;
    if (!bank.routed && !bank.modules.empty()) layers.push_back(static_cast<std::int64_t>(l));
  }
  return layers;
}

bool routes_feed_forward(const Model& model) {
  return std::any_of(model.blocks.begin(), model.blocks.end(), [](const Block& block) { return block.mlp.routed; });
}

std::int64_t widest_dense_layer(const Model& model) {
  std::int64_t width = 0;
  for (const std::int64_t layer : dense_layers(model)) width = std::max(width, width_of(model.blocks[layer].mlp));
  return width;
}

std::int64_t units_of_a_module(const Model& model, const UpcyclePlan& plan) {
  return units_of(plan, widest_dense_layer(model));
}

ModelConfig upcycled_config(const Model& model, const UpcyclePlan& plan, std::int64_t k) {
  ModelConfig config = model.config;
  if (!routes_feed_forward(model)) {
    config.ffd_hidden = units_of(plan, widest_dense_layer(model));
    config.form.renormalise = true;
    config.form.top_k_first = false;
    config.k_mlp = k;
    config.sample_topk = 0;
    config.gate_type = GateType::linear;
    config.aux_loss_type = BalanceLoss::joint;
    config.aux_loss_weight = plan.form == UpcycleForm::copies ? UpcyclePlan::kBalance : 0;
  }
  if (plan.balance >= 0) config.aux_loss_weight = plan.balance;
  const std::vector<std::int64_t> now = dense_layers(model);
  std::erase_if(config.form.unrouted_layers,
                [&](std::int64_t layer) { return std::binary_search(now.begin(), now.end(), layer); });
  if (config.form.unrouted_layers.empty()) config.form.slice_hidden = 0;
  std::vector<std::int64_t> att, mlp;
  for (std::int64_t layer = 0; layer < config.n_layer; ++layer) {
    att.push_back(config.n_att(layer));
    mlp.push_back(std::binary_search(now.begin(), now.end(), layer) ? plan.modules : model.config.n_mlp(layer));
  }
  config.set_expert_counts(att, mlp);
  return config;
}

Model upcycled(const Model& model, const UpcyclePlan& plan) {
  const std::int64_t width = widest_dense_layer(model);
  Model result = model;
  result.config = upcycled_config(model, plan, plan.form == UpcycleForm::copies ? plan.k : plan.modules);
  at::Generator generator = at::detail::createCPUGenerator(plan.seed ^ 0x75706379636cULL);
  for (const std::int64_t layer : dense_layers(model)) {
    const auto order = plan.order.find(layer);
    result.blocks[layer].mlp = bank_of(result.config, model.blocks[layer].mlp, plan, width,
                                       order == plan.order.end() ? at::Tensor() : order->second, generator);
  }
  return result;
}

void set_chosen(Model& model, const std::vector<std::int64_t>& layers, std::int64_t k) {
  for (const std::int64_t layer : layers) model.blocks[layer].mlp.k = k;
  const bool all = std::all_of(model.blocks.begin(), model.blocks.end(),
                               [&](const Block& block) { return !block.mlp.routed || block.mlp.k == k; });
  if (all) model.config.k_mlp = k;
}

void choose_slices(Model& model, const std::vector<std::int64_t>& layers, std::int64_t k) {
  for (const std::int64_t layer : layers) {
    ModuleBank& bank = model.blocks[layer].mlp;
    const double factor = slice_scale(model.config, bank.size(), k) / slice_scale(model.config, bank.size(), bank.k);
    if (factor == 1) continue;
    for (Module& module : bank.modules) module.out.mul_(factor);
  }
  set_chosen(model, layers, k);
}

void add_noise(Model& model, const std::vector<std::int64_t>& layers, double share, std::uint64_t seed) {
  if (share == 0) return;
  at::Generator generator = at::detail::createCPUGenerator(seed ^ 0x6e6f697365ULL);
  const auto noisy = [&](const at::Tensor& weight) {
    const at::Tensor noise = at::randn_like(weight.to(at::kFloat), generator) * (share * weight.std(false));
    return weight + noise.to(weight.scalar_type());
  };
  for (const std::int64_t layer : layers) {
    for (Module& module : model.blocks[layer].mlp.modules) module.in = noisy(module.in), module.out = noisy(module.out);
  }
}

std::string sources_of(const Model& before, const UpcyclePlan& plan, std::int64_t layer, std::int64_t module) {
  const std::int64_t units = units_of_a_module(before, plan);
  const std::int64_t first = plan.form == UpcycleForm::copies ? 0 : module * units;
  const auto order = plan.order.find(layer);
  std::set<std::int64_t> its_units;
  for (std::int64_t unit = first; unit < first + units; ++unit) {
    its_units.insert(order == plan.order.end() ? unit : order->second[unit].item<std::int64_t>());
  }
  std::string uids;
  std::int64_t at = 0;
  for (const Module& source : before.blocks[layer].mlp.modules) {
    const auto found = its_units.lower_bound(at);
    at += source.out.size(0);
    if (found != its_units.end() && *found < at) uids += (uids.empty() ? "" : ",") + source.uid;
  }
  return uids;
}

}  // namespace mformer
