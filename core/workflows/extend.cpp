#include "core/workflows/extend.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/randn_like.h>
#include <ATen/ops/repeat_interleave.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <map>
#include <numeric>

#include "core/workflows/commit.h"
#include "core/workspace/parse_range.h"

namespace mformer {
namespace {

constexpr double kCopyNoise = 0.02;  // of the weights' own spread: enough for copies to part, too little to hurt

using Origins = std::map<std::pair<int, Kind>, std::vector<std::string>>;  // uids, in the order of the new modules

/// Positions of the bank's modules by how much the domain uses them, most used first.
std::vector<std::int64_t> by_use(const std::vector<RoutingStat>& stats, int layer, Kind kind, std::size_t modules) {
  std::vector<double> mass;
  for (const RoutingStat& stat : stats) {
    if (stat.layer == layer && stat.kind == kind) mass.push_back(stat.gate_mass);
  }
  mass.resize(modules, 0.0);
  std::vector<std::int64_t> order(modules);
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) { return mass[a] > mass[b]; });
  return order;
}

at::Tensor with_noise(const at::Tensor& weight, at::Generator& generator) {
  const at::Tensor spread = weight.std(/*unbiased=*/false);
  return weight.clone() +
         kCopyNoise * spread * at::randn_like(weight.to(at::kFloat), generator).to(weight.scalar_type());
}

Module new_module(const ModelConfig& config, const ModuleBank& bank, std::int64_t from, NewModules start,
                  at::Generator& generator) {
  if (start == NewModules::random) {
    Module fresh = make_module(config, bank.kind, generator);
    const at::ScalarType dtype = bank.modules[0].in.scalar_type();
    fresh.in = fresh.in.to(dtype), fresh.out = fresh.out.to(dtype), fresh.row = fresh.row.to(dtype);
    return fresh;
  }
  const Module& parent = bank.modules.at(from);
  Module copy;
  copy.in = with_noise(parent.in, generator);
  copy.out = start == NewModules::unchanged ? at::zeros_like(parent.out) : with_noise(parent.out, generator);
  copy.row = with_noise(parent.row, generator);
  return copy;
}

/// Appends the new modules to every chosen layer; says which module each was copied from.
Origins add_modules(Model& model, const ExtendCommand& command, const std::vector<RoutingStat>& stats) {
  const auto [first, last] = parse_range(command.layers, model.config.n_layer, "--layers");
  at::Generator generator = at::detail::createCPUGenerator(command.options.seed ^ 0x657874656e64ULL);
  Origins origins;
  std::vector<std::int64_t> att, mlp;
  for (std::int64_t l = 0; l < model.config.n_layer; ++l) {
    for (const Kind kind : {Kind::att, Kind::mlp}) {
      ModuleBank& bank = model.blocks[l].bank(kind);
      const std::int64_t added = l < first || l > last ? 0 : kind == Kind::att ? command.heads : command.experts;
      const auto order = by_use(stats, static_cast<int>(l), kind, bank.modules.size());
      std::vector<Module> fresh;
      for (std::int64_t i = 0; i < added; ++i) {
        const std::int64_t from = order[static_cast<std::size_t>(i) % order.size()];
        fresh.push_back(new_module(model.config, bank, from, command.start, generator));
        origins[{static_cast<int>(l), kind}].push_back(command.start == NewModules::random ? ""
                                                                                           : bank.modules[from].uid);
      }
      bank.modules.insert(bank.modules.end(), fresh.begin(), fresh.end());
      (kind == Kind::att ? att : mlp).push_back(static_cast<std::int64_t>(bank.modules.size()));
    }
  }
  model.config.set_expert_counts(att, mlp);
  return origins;
}

/// Mean router probability that the (replayed, if any) tokens give to modules without a uid, summed over routers.
at::Tensor mass_in_new_modules(const Model& model, const ForwardOutput& output, const Batch& batch) {
  at::Tensor total;
  for (std::size_t l = 0; l < model.blocks.size(); ++l) {
    for (const Kind kind : {Kind::att, Kind::mlp}) {
      const auto& modules = model.blocks[l].bank(kind).modules;
      const auto old = std::count_if(modules.begin(), modules.end(), [](const Module& m) { return !m.uid.empty(); });
      const auto fresh = static_cast<std::int64_t>(modules.size()) - old;
      if (fresh == 0) continue;
      at::Tensor mass = output.routing[l].bank(kind).decision.probs.narrow(1, old, fresh).sum(1);
      if (batch.replay.defined()) {
        const at::Tensor weight = at::repeat_interleave(batch.replay.to(mass.scalar_type()), batch.inputs.size(1));
        mass = (mass * weight).sum() / weight.sum().clamp_min(1.0);
      } else {
        mass = mass.mean();
      }
      total = total.defined() ? total + mass : mass;
    }
  }
  return total;
}

bool is_new(const Model& model, const ParameterRef& ref) {
  return ref.part == ParameterRef::Part::module &&
         model.blocks[ref.layer].bank(ref.kind).modules[ref.module].uid.empty();
}

std::vector<PackedWindows> windows_of_others(const std::vector<TaskData>& tasks, const std::string& except,
                                             std::int64_t context) {
  std::vector<PackedWindows> windows;
  for (const TaskData& task : tasks) {
    if (task.record.name == except) continue;
    if (static_cast<std::int64_t>(task.tokens.train.tokens().size()) <= context) continue;
    windows.emplace_back(task.tokens.train, context, LastWindow::drop);
  }
  return windows;
}

void check(const ExtendCommand& command) {
  command.options.validate();
  if (command.experts < 0 || command.heads < 0 || command.experts + command.heads == 0) {
    throw UsageError("--experts and --heads must not be negative, and not both 0", "for example --experts 4 --heads 2");
  }
  if (!(command.replay >= 0 && command.replay < 1))
    throw UsageError("--replay is a share from 0 to below 1", "for example --replay 0.01");
  if (!(command.penalty >= 0)) throw UsageError("--penalty must not be negative", "for example --penalty 0.5");
  if (command.review_steps < 0) throw UsageError("--review-steps must not be negative", "0 = no review");
}

/// The workflow, step by step; the members are what the steps share.
class Extension {
 public:
  Extension(Session& session, const LoadedVersion& base, const ExtendCommand& command)
      : session_(session),
        base_(base),
        command_(command),
        tokenizer_(require_tokenizer(base)),
        task_(open_task(session, tokenizer_, command.task, command.data)),
        context_(context_of(command.options, base.model)),
        model_(clone(base.model)) {}

  ExtendReport report() {
    PackedWindows windows(task_.tokens.require(Split::train), context_, LastWindow::drop);
    report_.size_before = size_of(model_);
    std::vector<RoutingStat> stats;
    if (command_.start != NewModules::random && !command_.dry_run) {
      stats = collect_routing(session_, base_.model, task_, Split::train, command_.eval_tokens);
    }
    const Origins origins = add_modules(model_, command_, stats);
    count_new();
    TrainTask training;
    training.model = &model_;
    training.parameters = make_trainable(model_, [&](const ParameterRef& ref) { return is_new(model_, ref); });
    report_.trainable = count_trainable(model_);
    report_.optimizer_bytes = report_.trainable.optimizer_bytes();
    report_.size_after = size_of(model_);
    if (command_.dry_run) return report_;

    const OperationData data{"train", task_.record.name, task_.record.data_path, task_.record.content_hash};
    run_operation(session_, target_model(base_, command_.into), {data}, [&](std::int64_t operation) {
      record_task(session_, task_, operation);
      const std::vector<TaskData> tasks = readable_tasks(session_, tokenizer_);
      const auto before = losses(session_, base_.record.hash, base_.model, tasks, command_.eval_tokens, operation);
      const auto folder = run_folder(session_, base_.record.hash, task_.record.content_hash, command_.restart);
      report_.run_folder = folder.string();
      learn(training, windows, tasks, folder);
      review(windows, tasks, folder / "review");
      make_untrainable(model_);
      commit(operation, origins);
      report_.tasks =
          changes(tasks, before, losses(session_, report_.version->hash, model_, tasks, command_.eval_tokens));
      measure_leak(tasks);
      finish_run(folder);
      finish_run(folder / "review");
    });
    return report_;
  }

 private:
  void count_new() {
    for (const Block& block : model_.blocks) {
      for (const Module& module : block.att.modules) report_.new_att += module.uid.empty() ? 1 : 0;
      for (const Module& module : block.mlp.modules) report_.new_mlp += module.uid.empty() ? 1 : 0;
    }
  }

  void learn(TrainTask& training, const PackedWindows& windows, const std::vector<TaskData>& tasks,
             const std::filesystem::path& folder) {
    const TrainOptions& options = command_.options;
    training.batches = shuffled_batches(windows, options.seed, options.batch_size);
    if (command_.replay > 0) {
      auto others = windows_of_others(tasks, task_.record.name, context_);
      if (others.empty()) {
        throw Error("--replay needs an earlier task whose data can be read, and there is none",
                    "record one: mformer task add NAME --data DIR");
      }
      training.batches =
          batches_with_replay(windows, std::move(others), command_.replay, options.seed, options.batch_size);
    }
    training.balance = false;
    if (command_.penalty > 0) {
      training.extra_loss = [this](const ForwardOutput& output, const Batch& batch) {
        return command_.penalty * mass_in_new_modules(model_, output, batch);
      };
    }
    training.run_folder = folder;
    report_.training = train(
        training, options,
        hooks_for(session_, "extend", options, validation_of(session_, model_, task_, context_, command_.eval_tokens)));
  }

  /// A short last stage on a half-and-half mix of old and new text that moves only the new router rows.
  void review(const PackedWindows& windows, const std::vector<TaskData>& tasks, const std::filesystem::path& folder) {
    auto others = windows_of_others(tasks, task_.record.name, context_);
    if (command_.review_steps == 0 || others.empty()) return;
    TrainOptions options = command_.options;
    options.steps = command_.review_steps;
    options.seed += 1;
    TrainTask training;
    training.model = &model_;
    training.parameters = make_trainable(
        model_, [&](const ParameterRef& ref) { return is_new(model_, ref) && ref.name.ends_with(".row"); });
    training.batches = batches_with_replay(windows, std::move(others), 0.5, options.seed, options.batch_size);
    training.balance = false;
    training.run_folder = folder;
    train(training, options, hooks_for(session_, "review", options));
  }

  void commit(std::int64_t operation, const Origins& origins) {
    const auto origin = [&](Kind kind, int layer, std::int64_t index) {
      const auto& old = base_.model.blocks[layer].bank(kind).modules;
      return origins.at({layer, kind}).at(index - static_cast<std::int64_t>(old.size()));
    };
    const CommitResult result =
        commit_model(session_, operation, base_, model_, command_.into, task_.record.name, origin);
    report_.version = result.version;
    report_.kept_beside = result.kept_beside;
    report_.added_bytes = session_.registry.added_bytes(result.version.hash);
  }

  void measure_leak(const std::vector<TaskData>& tasks) {
    const auto later = session_.registry.born_after(base_.record.hash, report_.version->hash);
    for (const TaskData& task : tasks) {
      const Split split = measurable_split(session_, task);
      const auto stats = collect_routing(session_, model_, task, split, command_.eval_tokens);
      session_.registry.put_routing_stats(report_.version->hash, task.record.name, stats);
      const auto rows = router_leak(stats, later);
      if (task.record.name == task_.record.name) {
        report_.use = mean_leak(rows);
      } else {
        report_.leak.push_back({task.record.name, rows, mean_leak(rows)});
      }
    }
  }

  Session& session_;
  const LoadedVersion& base_;
  const ExtendCommand& command_;
  const Tokenizer& tokenizer_;
  TaskData task_;
  std::int64_t context_;
  Model model_;
  ExtendReport report_;
};

}  // namespace

NewModules new_modules_from_string(const std::string& text) {
  if (text == "copy") return NewModules::copy;
  if (text == "random") return NewModules::random;
  if (text == "unchanged") return NewModules::unchanged;
  throw UsageError("unknown start '" + text + "' for new modules", "known: copy, random, unchanged");
}

ExtendReport extend(Session& session, const LoadedVersion& base, const ExtendCommand& command) {
  check(command);
  require_trainable(base);
  return Extension(session, base, command).report();
}

}  // namespace mformer
