#include "cli/train_options.h"

#include <filesystem>

#include "cli/command.h"
#include "cli/help.h"
#include "cli/validators.h"

namespace mformer::cli {

void add_step_flags(CLI::App& command, StepOptions& options) {
  const auto add = [&command](const char* name, auto& value, const std::string& text, const CLI::Validator& check,
                              const char* group = "Training") {
    command.add_option(name, value, text)->check(check)->group(group);
  };
  constexpr const char* experts = option_groups::training_experts;
  add("--batch", options.batch_size, "Sequences a batch", positive_integer());
  add("--accumulate", options.accumulate,
      "Batches a step, whose gradients are added up: N batches as one N times as large", positive_integer(), experts);
  add("--context", options.context, "Tokens a sequence; default: the model's block size", positive_integer());
  add("--lr", options.learning_rate, "Peak learning rate", positive_number());
  add("--warmup", options.warmup, "Share of the steps that warm up", share(), experts);
  add("--clip", options.clip, "Largest gradient norm, 0 = no limit", non_negative_number(), experts);
  add("--weight-decay", options.adamw.weight_decay, "Decoupled weight decay of AdamW", non_negative_number(), experts);
  command
      .add_flag(
          "--bf16", options.bfloat16,
          "Matrix products in bfloat16: coarser, and faster where the processor has them (AVX-512, AMX: see doctor)")
      ->group("Training");
  add("--snapshot-every", options.snapshot_every, "Steps between snapshots, 0 = only when interrupted",
      non_negative_integer(), experts);
}

void add_eval_every(CLI::App& command, std::int64_t& steps) {
  command.add_option("--eval-every", steps, "Steps between validation losses, 0 = only at the end")
      ->check(non_negative_integer())
      ->group("Training");
}

void add_validation_flags(CLI::App& command, ValidationOptions& options) {
  add_eval_every(command, options.eval_every);
  command
      .add_flag("--keep-best", options.keep_best,
                "Keep the weights of the lowest validation loss, instead of the last; goes with --eval-every")
      ->group("Training");
  command
      .add_option(
          "--patience", options.patience,
          "Stop after so many validations that were no lower than the lowest, 0 = never; goes with --eval-every")
      ->check(non_negative_integer())
      ->group("Training");
}

void add_training_flags(CLI::App& command, TrainOptions& options) {
  command.add_option("--steps", options.steps, "Training steps")->check(positive_integer())->group("Training");
  add_step_flags(command, options);
  add_validation_flags(command, options);
}

void add_version_flags(CLI::App& command, std::string& into, std::int64_t& eval_tokens) {
  command.add_option("--into", into, "Model that gets the new version; default: the one it is made from")
      ->type_name("NAME");
  command
      .add_option("--eval-tokens", eval_tokens, "Held-out tokens per task for the losses that are reported, 0 = all")
      ->check(non_negative_integer());
}

void add_task_flags(CLI::App& command, TaskCommand& task) {
  command.add_option("--data", task.data, "Folder or file of text; default: the task's own")->type_name("DIR");
  add_fields_flag(command, task.fields);
  command.add_option("--task", task.task, "Known task, or the name that the data gets; default: the folder's name")
      ->type_name("NAME");
  add_version_flags(command, task.into, task.eval_tokens);
  command.add_flag("--restart", task.restart, "Begin anew instead of going on with an interrupted run");
  add_dry_run(command, task.dry_run);
}

void add_train_flags(CLI::App& command, TrainCommand& train) {
  add_training_flags(command, train.options);
  add_task_flags(command, train);
}

void set_seed(StepOptions& options, const GlobalOptions& global) {
  options.seed = global.seed.value_or(0);
}

}  // namespace mformer::cli
