#include "cli/train_options.h"

#include <filesystem>
#include <sstream>

#include "cli/command.h"
#include "cli/validators.h"

namespace mformer::cli {
namespace {

template <typename Number>
std::string with_default(const std::string& text, Number value) {
  std::ostringstream out;
  out << text << "; default: " << value;
  return out.str();
}

}  // namespace

void add_training_flags(CLI::App& command, TrainOptions& options) {
  const auto add = [&command](const char* name, auto& value, const std::string& text, const CLI::Validator& check) {
    command.add_option(name, value, text)->check(check)->group("Training");
  };
  add("--steps", options.steps, with_default("Training steps", options.steps), positive_integer());
  add("--batch", options.batch_size, with_default("Sequences a step", options.batch_size), positive_integer());
  add("--context", options.context, "Tokens a sequence; default: the model's block size", positive_integer());
  add("--lr", options.learning_rate, with_default("Peak learning rate", options.learning_rate), positive_number());
  add("--warmup", options.warmup, with_default("Share of the steps that warm up", options.warmup), share());
  add("--clip", options.clip, with_default("Largest gradient norm, 0 = no limit", options.clip), non_negative_number());
  add("--weight-decay", options.adamw.weight_decay,
      with_default("Decoupled weight decay of AdamW", options.adamw.weight_decay), non_negative_number());
  command.add_flag("--bf16", options.bfloat16, "Matrix products in bfloat16: coarser, and faster where the processor has them (AVX-512)")
      ->group("Training");
  add("--eval-every", options.eval_every, "Steps between validation losses, 0 = only at the end; default: 0",
      non_negative_integer());
  add("--snapshot-every", options.snapshot_every,
      with_default("Steps between snapshots, 0 = only when interrupted", options.snapshot_every),
      non_negative_integer());
}

void add_version_flags(CLI::App& command, std::string& into, std::int64_t& eval_tokens) {
  command.add_option("--into", into, "Model that gets the new version; default: the one it is made from")
      ->type_name("NAME");
  command
      .add_option("--eval-tokens", eval_tokens,
                  with_default("Held-out tokens per task for the losses that are reported, 0 = all", eval_tokens))
      ->check(non_negative_integer());
}

void add_train_flags(CLI::App& command, TrainCommand& train) {
  command.add_option("--data", train.data, "Folder or file of text; default: the task's own")->type_name("DIR");
  command.add_option("--task", train.task, "Known task, or the name that the data gets; default: the folder's name")
      ->type_name("NAME");
  add_training_flags(command, train.options);
  add_version_flags(command, train.into, train.eval_tokens);
  command.add_flag("--restart", train.restart, "Begin anew instead of going on with an interrupted run");
  add_dry_run(command, train.dry_run);
}

void set_seed(TrainOptions& options, const GlobalOptions& global) {
  options.seed = global.seed.value_or(0);
}

nlohmann::ordered_json training_arguments(const TrainOptions& options) {
  return {{"steps", options.steps},     {"batch", options.batch_size},
          {"context", options.context}, {"lr", options.learning_rate},
          {"warmup", options.warmup},   {"clip", options.clip},
          {"bf16", options.bfloat16},   {"weight_decay", options.adamw.weight_decay}};
}

nlohmann::ordered_json train_arguments(const TrainCommand& train) {
  nlohmann::ordered_json arguments = nlohmann::ordered_json::object();
  if (!train.task.empty()) arguments["task"] = train.task;
  if (!train.data.empty()) arguments["data"] = std::filesystem::absolute(train.data).lexically_normal().string();
  if (!train.into.empty()) arguments["into"] = train.into;
  arguments.update(training_arguments(train.options));
  return arguments;
}

}  // namespace mformer::cli
