#include <ATen/CPUGeneratorImpl.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/randint.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "core/checkpoint/hub_model.h"
#include "core/model/forward.h"
#include "core/model/inference.h"
#include "recipes/benchmarks/machine_peaks.h"
#include "recipes/benchmarks/report.h"
#include "recipes/benchmarks/work.h"

namespace mformer::benchmarks {
namespace {

ModelConfig config_of(const ModelChoice& choice) {
  ModelConfig config = preset(choice.geometry);
  if (choice.layers > 0) config.n_layer = choice.layers;
  const auto kept = [&](std::int64_t modules, std::int64_t k) {
    return std::max(k, static_cast<std::int64_t>(std::ceil(choice.keep * static_cast<double>(modules))));
  };
  config.n_att_experts = kept(config.n_att_experts, config.k_att);
  config.n_mlp_experts = kept(config.n_mlp_experts, config.k_mlp);
  return config;
}

/// Random weights of `dtype`, never more than one layer of it in float32. Layers are copies of the first with their
/// modules in another order, so that routes differ.
Model random_model(const ModelConfig& config, at::ScalarType dtype) {
  ModelConfig one_layer = config;
  one_layer.n_layer = 1;
  Model model = make_model(one_layer, 1);
  convert(model, dtype);
  const Model first = clone(model);
  while (static_cast<std::int64_t>(model.blocks.size()) < config.n_layer) {
    Block block = clone(first).blocks[0];
    for (const Kind kind : {Kind::att, Kind::mlp}) {
      std::vector<Module>& modules = block.bank(kind).modules;
      const auto shift = static_cast<std::ptrdiff_t>(model.blocks.size() % modules.size());
      std::rotate(modules.begin(), modules.begin() + shift, modules.end());
    }
    model.blocks.push_back(std::move(block));
  }
  model.config = config;
  return model;
}

/// A model that is ready to answer, and what loading and preparing it took.
struct ReadyModel {
  PreparedModel model;
  double seconds = 0;
  std::int64_t peak_memory = 0;
};

/// Of the weights as they are stored: int8 is made from bfloat16.
at::ScalarType dtype_of(const ModelChoice& choice) {
  return choice.dtype == "float32" ? at::kFloat : at::kBFloat16;
}

ReadyModel make_ready(const ModelChoice& choice) {
  Stopwatch watch;
  ReadyModel ready;
  ready.model = prepare_for_inference(choice.from.empty() ? random_model(config_of(choice), dtype_of(choice))
                                                          : load_hub_model(open_hub_folder(choice.from)),
                                      choice.dtype == "int8"   ? at::kChar
                                      : choice.dtype == "int4" ? kInt4
                                                               : dtype_of(choice));
  ready.seconds = watch.lap();
  ready.peak_memory = peak_memory();
  return ready;
}

at::Tensor random_ids(const PreparedModel& model, std::int64_t batch, std::int64_t tokens) {
  return at::randint(model.config.vocab_size, {batch, tokens}, at::detail::createCPUGenerator(3),
                     at::TensorOptions(at::kLong));
}

nlohmann::ordered_json describe(const char* work, const ReadyModel& ready) {
  return {{"work", work},
          {"parameters", size_of(ready.model).weights},
          {"model_bytes", size_of(ready.model).bytes},
          {"load_seconds", ready.seconds},
          {"loaded_memory", ready.peak_memory}};
}

std::vector<double> time_repeats(std::int64_t warm_up, std::int64_t repeats, const std::function<void()>& once) {
  for (std::int64_t i = 0; i < warm_up; ++i) once();
  std::vector<double> samples;
  Stopwatch watch;
  for (std::int64_t i = 0; i < repeats; ++i) {
    once();
    samples.push_back(watch.lap());
  }
  return samples;
}

double bank_bytes(const PreparedBank& bank, std::int64_t chosen) {
  double modules = 0;
  for (const auto* weights : {&bank.in, &bank.out}) {
    for (const kernels::PackedWeight& weight : *weights) modules += static_cast<double>(weight.bytes());
  }
  const auto share = static_cast<double>(chosen) / static_cast<double>(bank.size());
  if (!bank.routed) return modules + static_cast<double>(bank.whole_in.bytes() + bank.whole_out.bytes());
  return static_cast<double>(bank.router.bytes() + bank.rows.bytes()) + share * modules;
}

/// Bytes of the packed weights that one token is computed with.
double active_bytes(const PreparedModel& prepared) {
  auto bytes = static_cast<double>(prepared.head.bytes());
  for (const PreparedBlock& block : prepared.blocks) {
    bytes += static_cast<double>(block.k_proj.bytes() + block.v_proj.bytes());
    bytes += bank_bytes(block.att, prepared.config.k_att) + bank_bytes(block.mlp, prepared.config.k_mlp);
  }
  return bytes;
}

/// Read bandwidth from the weights themselves.
double weights_bandwidth(const PreparedModel& model) {
  std::vector<at::Tensor> weights;
  for_each_packed(model, [&](const kernels::PackedWeight& weight) {
    if (weight.defined()) weights.push_back(weight.panels);
  });
  return read_bandwidth(weights);
}

}  // namespace

void run_prefill(const PrefillWork& work) {
  const at::NoGradGuard no_grad;
  const ReadyModel ready = make_ready(work.model);
  const at::Tensor ids = random_ids(ready.model, work.batch, work.tokens);
  const std::vector<double> samples = time_repeats(work.warm_up, work.steps, [&] {
    const at::Tensor hidden = forward(ready.model, ids).hidden;
    logits_of(ready.model, work.last_only ? hidden.narrow(1, work.tokens - 1, 1) : hidden);
  });
  print_report(describe("prefill", ready), samples, work.batch * work.tokens);
}

void run_decode(const DecodeWork& work) {
  const at::NoGradGuard no_grad;
  const ReadyModel ready = make_ready(work.model);
  KeyValueCache cache;
  ForwardOptions options;
  options.cache = &cache;
  at::Tensor ids = random_ids(ready.model, work.batch, work.prompt);
  const auto next_token = [&] {
    const at::Tensor hidden = forward(ready.model, ids, options).hidden;
    ids = logits_of(ready.model, hidden.narrow(1, hidden.size(1) - 1, 1)).argmax(-1);
  };
  next_token();  // the prompt
  const std::vector<double> samples = time_repeats(work.warm_up, work.tokens, next_token);
  const double bandwidth = weights_bandwidth(ready.model);
  nlohmann::ordered_json fields = describe("decode", ready);
  fields["active_bytes"] = active_bytes(ready.model);
  fields["read_bandwidth"] = bandwidth;
  fields["floor"] = active_bytes(ready.model) / bandwidth;
  print_report(fields, samples, work.batch);
}

void run_write(const WriteWork& work) {
  const at::NoGradGuard no_grad;
  Stopwatch watch;
  save_hub_model(work.folder, random_model(config_of(work.model), dtype_of(work.model)), {});
  print_report({{"work", "write"}}, {watch.lap()}, 0);
}

}  // namespace mformer::benchmarks
