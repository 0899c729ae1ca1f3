#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/randint.h>

#include "core/training/trainable.h"
#include "core/training/trainer.h"
#include "recipes/benchmarks/report.h"
#include "recipes/benchmarks/work.h"

namespace mformer::benchmarks {
namespace {

Batch random_batch(const ModelConfig& config, std::int64_t rows, std::int64_t step) {
  at::Generator generator = at::detail::createCPUGenerator(static_cast<std::uint64_t>(step));
  const at::Tensor ids =
      at::randint(config.vocab_size, {rows, config.block_size + 1}, generator, at::TensorOptions(at::kLong));
  return {ids.narrow(1, 0, config.block_size).contiguous(), ids.narrow(1, 1, config.block_size).contiguous(), {}};
}

/// Freezes what is there and adds modules to every layer.
void extend(Model& model, const std::vector<std::int64_t>& added) {
  at::Generator generator = at::detail::createCPUGenerator(2);
  for (std::size_t layer = 0; layer < model.blocks.size(); ++layer) {
    Block& block = model.blocks[layer];
    for (const Kind kind : {Kind::att, Kind::mlp}) {
      ModuleBank& bank = block.bank(kind);
      for (Module& module : bank.modules) module.frozen = true;
      for (std::int64_t i = 0; i < added[kind == Kind::mlp]; ++i) {
        bank.modules.push_back(make_module(model.config, static_cast<std::int64_t>(layer), kind, generator));
      }
    }
  }
  const std::vector<std::int64_t> att(model.blocks.size(), model.config.n_att_experts + added[0]);
  const std::vector<std::int64_t> mlp(model.blocks.size(), model.config.n_mlp_experts + added[1]);
  model.config.set_expert_counts(att, mlp);
}

}  // namespace

void run_train(const TrainWork& work) {
  ModelConfig config = preset(work.preset);
  config.vocab_size = work.vocabulary;
  config.block_size = work.context;
  if (!work.modules.empty()) {
    config.n_att_experts = work.modules[0];
    config.n_mlp_experts = work.modules[1];
  }
  if (work.k > 0) config.k_att = config.k_mlp = work.k;
  Model model = make_model(config, 1);
  if (!work.extend.empty()) extend(model, work.extend);
  const std::int64_t rows = work.tokens_per_step / work.context;

  TrainTask task;
  task.model = &model;
  task.parameters = make_trainable(
      model, [&](const ParameterRef& ref) { return work.extend.empty() || ref.part == ParameterRef::Part::module; });
  task.batches = [&](std::int64_t step) { return random_batch(config, rows, step); };
  TrainOptions options;
  options.steps = work.warm_up + work.steps;
  options.batch_size = rows;
  options.bfloat16 = work.bfloat16;
  options.snapshot_every = 0;

  std::vector<double> samples, losses;
  Stopwatch watch;
  TrainHooks hooks;
  hooks.on_step = [&](const StepReport& report) {
    const double seconds = watch.lap();
    losses.push_back(report.loss);
    if (report.step > work.warm_up) samples.push_back(seconds);
  };
  train(task, options, hooks);
  print_report({{"work", "train"},
                {"parameters", size_of(model).weights},
                {"trainable_parameters", count_trainable(model).total()},
                {"optimizer_bytes", count_trainable(model).optimizer_bytes()},
                {"losses", losses}},
               samples, rows * work.context);
}

}  // namespace mformer::benchmarks
