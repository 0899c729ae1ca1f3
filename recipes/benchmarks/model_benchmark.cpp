// Times mformer's core on whole pieces of work, for run.sh. Every subcommand prints one JSON line.
#include <ATen/Parallel.h>
#include <ATen/ops/ones.h>

#include <CLI/CLI.hpp>
#include <iostream>

#include "cli/errors.h"
#include "core/training/retain_memory.h"
#include "recipes/benchmarks/machine_peaks.h"
#include "recipes/benchmarks/report.h"
#include "recipes/benchmarks/work.h"

namespace mformer::benchmarks {

void run_peaks() {
  const nlohmann::ordered_json peaks = {{"work", "peaks"},
                                        {"read_bandwidth", read_bandwidth({at::ones({1 << 28})})},
                                        {"float32_product", product_peak(at::kFloat)},
                                        {"bfloat16_product", product_peak(at::kBFloat16)},
                                        {"threads", at::get_num_threads()}};
  std::cout << peaks.dump() << std::endl;
}

namespace {

void setup_train(CLI::App& app) {
  auto work = std::make_shared<TrainWork>();
  CLI::App* command = app.add_subcommand("train", "Time training steps");
  command->add_option("--preset", work->preset, "Geometry")->capture_default_str();
  command->add_option("--vocabulary", work->vocabulary, "Tokens of the vocabulary")->capture_default_str();
  command->add_option("--context", work->context, "Tokens of a sequence")->capture_default_str();
  command->add_option("--tokens-per-step", work->tokens_per_step, "A multiple of the context")->capture_default_str();
  command->add_option("--steps", work->steps, "Steps to time")->check(CLI::PositiveNumber)->capture_default_str();
  command->add_option("--warm-up", work->warm_up, "Steps before the clock counts")->capture_default_str();
  command->add_flag("--bfloat16", work->bfloat16, "Matrix products in bfloat16");
  command->add_option("--extend", work->extend, "New attention,feed-forward modules a layer; train only them")
      ->delimiter(',')
      ->expected(2);
  command->add_option("--modules", work->modules, "Attention,feed-forward modules a layer")
      ->delimiter(',')
      ->expected(2);
  command->add_option("--k", work->k, "Modules of each kind that a token chooses; 0 = as the preset")
      ->capture_default_str();
  command->callback([work] { run_train(*work); });
}

void add_model_options(CLI::App& command, ModelChoice& model) {
  command.add_option("--geometry", model.geometry, "A preset")->capture_default_str();
  command.add_option("--layers", model.layers, "Of the model; 0 = as the preset")->capture_default_str();
  command.add_option("--keep", model.keep, "Share of the modules that is left")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  command.add_option("--dtype", model.dtype, "Of the weights")
      ->check(CLI::IsMember({"bfloat16", "float32", "int8", "int4"}))
      ->capture_default_str();
  command.add_option("--from", model.from, "A checkpoint folder instead of random weights");
}

void setup_prefill(CLI::App& app) {
  auto work = std::make_shared<PrefillWork>();
  CLI::App* command = app.add_subcommand("prefill", "Time a batch of prompts");
  add_model_options(*command, work->model);
  command->add_option("--batch", work->batch, "Prompts")->capture_default_str();
  command->add_option("--tokens", work->tokens, "Of each prompt")->capture_default_str();
  command->add_option("--steps", work->steps, "Passes to time")->check(CLI::PositiveNumber)->capture_default_str();
  command->add_option("--warm-up", work->warm_up, "Passes before the clock counts")->capture_default_str();
  command->add_flag("--last-only", work->last_only, "Logits of the last token alone, as before generating");
  command->callback([work] { run_prefill(*work); });
}

void setup_decode(CLI::App& app) {
  auto work = std::make_shared<DecodeWork>();
  CLI::App* command = app.add_subcommand("decode", "Time tokens one after the other");
  add_model_options(*command, work->model);
  command->add_option("--batch", work->batch, "Rows")->capture_default_str();
  command->add_option("--prompt", work->prompt, "Tokens before the first one")->capture_default_str();
  command->add_option("--tokens", work->tokens, "Tokens to time")->check(CLI::PositiveNumber)->capture_default_str();
  command->add_option("--warm-up", work->warm_up, "Tokens before the clock counts")->capture_default_str();
  command->callback([work] { run_decode(*work); });
}

void setup_write(CLI::App& app) {
  auto work = std::make_shared<WriteWork>();
  CLI::App* command = app.add_subcommand("write", "Write a checkpoint with random weights");
  add_model_options(*command, work->model);
  command->add_option("--folder", work->folder, "Where to")->required();
  command->callback([work] { run_write(*work); });
}

}  // namespace
}  // namespace mformer::benchmarks

int main(int argc, char** argv) {
  using namespace mformer::benchmarks;
  mformer::retain_freed_memory();
  CLI::App app("Time mformer's core on whole pieces of work", "mformer_model_benchmark");
  app.require_subcommand(1);
  setup_train(app);
  setup_prefill(app);
  setup_decode(app);
  setup_write(app);
  app.add_subcommand("peaks", "Measure the machine")->callback(run_peaks);
  return mformer::cli::run_guarded(app, argc, argv, std::cout, std::cerr);
}
