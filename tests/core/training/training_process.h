#pragma once

#include <filesystem>
#include <vector>

#include "core/training/trainer.h"
#include "tests/support/tiny_data.h"

namespace mformer::testing {

/// Everything that draws random numbers: dropout in all places, sampled modules.
inline ModelConfig restless_config() {
  ModelConfig config = tiny_config();
  config.sample_topk = 1;
  config.resid_pdrop = config.embd_pdrop = config.moe_pdrop = 0.1;
  return config;
}

inline TrainOptions short_options() {
  TrainOptions options;
  options.steps = 12;
  options.batch_size = 4;
  options.learning_rate = 3e-3;
  options.seed = 9;
  options.snapshot_every = 5;
  return options;
}

/// One process: a model and a task of its own, from the same beginning.
struct TrainingProcess {
  explicit TrainingProcess(const std::filesystem::path& folder = {}, const ModelConfig& config = restless_config())
      : model(tiny_model(config)) {
    task.model = &model;
    task.parameters = make_trainable(model, [](const ParameterRef&) { return true; });
    task.batches = shuffled_batches(tiny_windows(), 9, 4);
    task.run_folder = folder;
    hooks.on_step = [this](const StepReport& report) { reports.push_back(report); };
  }
  TrainingProcess(const TrainingProcess&) = delete;
  TrainingProcess& operator=(const TrainingProcess&) = delete;

  TrainResult run(const TrainOptions& options = short_options()) { return train(task, options, hooks); }

  Model model;
  TrainTask task;
  TrainHooks hooks;
  std::vector<StepReport> reports;
};

}  // namespace mformer::testing
