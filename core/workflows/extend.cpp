#include "core/workflows/extend.h"

#include <algorithm>
#include <optional>

#include "core/checkpoint/eight_bits.h"
#include "core/history/commit.h"
#include "core/model/domains.h"
#include "core/surgery/domain_extension.h"
#include "core/surgery/new_modules.h"
#include "core/training/training_copy.h"
#include "core/workflows/extend_checks.h"
#include "core/workflows/single_mask.h"
#include "core/workflows/stages.h"
#include "core/workspace/run_folder.h"

namespace mformer {
namespace {

/// The workflow, step by step; the members are what the steps share.
class Extension {
 public:
  Extension(Session& session, const LoadedVersion& base, const ExtendCommand& command)
      : session_(session),
        base_(base),
        command_(command),
        tokenizer_(require_tokenizer(base)),
        task_(open_task(session, tokenizer_, command.task, command.data, /*replace=*/false, command.fields)),
        context_(context_of(session, command.options, base.model)),
        parent_(view_of(base.model, kBaseHypothesis)),
        model_(clone(parent_)) {
    if (!command_.rehearse.has_value())
      command_.rehearse = default_rehearsal(session.registry, command, task_.record.name);
  }

  ExtendReport report() {
    say_what_was_left_out(session_, task_);
    const PackedWindows windows = training_windows(task_, context_);
    require_validation(task_, command_.options, context_);
    report_.size_before = size_of(base_.model);
    grow();
    TrainTask training;
    training.parameters = trained(model_);
    report_.trainable = count_trainable(model_);
    report_.optimizer_bytes = report_.trainable.optimizer_bytes();
    report_.memory = plan_memory({model_, command_.options, session_.device, /*balance=*/false, /*teacher=*/nullptr,
                                  command_.options.keep_best});
    report_.size_after = report_.size_before;
    report_.size_after.weights += added_weights();
    report_.size_after.bytes += added_weights() * static_cast<std::int64_t>(model_.wte.element_size());
    if (command_.dry_run) return report_;

    const OperationData data{"train", task_.record.name, task_.record.data_path, task_.record.content_hash};
    run_operation(session_, target_model(base_, command_.into), {data}, [&](std::int64_t operation) {
      record_task(session_, task_, operation);
      const std::vector<TaskData> tasks = readable_tasks(session_, tokenizer_);
      const auto before = losses(session_, base_.record.hash, base_.model, tasks, command_.eval_tokens, operation);
      const std::string others = names_of(training.parameters) + (command_.single_mask ? content_of(tasks) : "");
      const RunFolder folder(session_, {base_.record.hash, content_of(task_), others}, command_.restart);
      report_.run_folder = folder.path().string();
      std::optional<SingleMask> single_mask;
      TrainingCopy copy(model_, session_.device, command_.options.bfloat16, may_be_trained());
      if (!session_.device.is_cpu()) training.parameters = trained(copy.model());
      training.model = &copy.model();
      if (command_.single_mask) single_mask.emplace(session_, parent_, copy.model(), command_, task_, tasks, windows);
      learn(training, windows, tasks, folder.path(), single_mask);
      if (single_mask) single_mask->review(folder.path() / "review");
      copy.bring_back();
      make_untrainable(model_);
      commit(operation);
      report_.size_after = size_of(model_);
      if (report_.budget.has_value()) {
        report_.budget->correct(report_.size_after.weights - report_.size_before.weights, size_of(parent_).weights);
      }
      report_.tasks = changes(tasks, before, unmeasured(tasks));
      report_.cut_off = after_commit([&] {
        folder.finish();
        report_.added_bytes = session_.registry.added_bytes(report_.version->hash);
        report_.difference =
            diff_versions(session_.registry, base_.manifest, session_.registry.manifest(report_.version->hash));
        report_.tasks =
            changes(tasks, before, losses(session_, report_.version->hash, model_, tasks, command_.eval_tokens),
                    base_.model.domains.size(), model_.domains.size());
        measure_leak(tasks, operation);
        measure_gain();
      });
    });
    return report_;
  }

 private:
  /// Appends the new modules to model_.
  void grow() {
    const bool open = !command_.experts.has_value() || !command_.heads.has_value();
    std::vector<RoutingStat> stats;
    if (open || (command_.start != NewModules::random && !command_.dry_run)) {
      stats = collect_routing(session_, parent_, task_, Split::train, command_.eval_tokens);
    }
    const double allowed = command_.budget.value_or(ExtendCommand::kBudget);
    const std::int64_t kept_private = command_.single_mask ? 0 : private_weights(parent_, task_);
    const double all = static_cast<double>(size_of(parent_).weights);
    plan_ = plan_new_modules(parent_, {command_.experts, command_.heads, command_.layers, command_.equal}, stats,
                             share_of(allowed, size_of(parent_).weights) - kept_private);
    const bool replace = !command_.single_mask && command_.start == NewModules::copy;
    add_new_modules(model_, plan_, command_.start, replace, command_.options.seed);
    count_new();
    if (!open) return;
    report_.budget =
        BudgetUse{allowed, static_cast<double>(added_weights()) / all, static_cast<double>(kept_private) / all};
    if (command_.budget.has_value()) report_.budget->require_kept();
  }

  /// `model` is model_, or what stands for it on another device.
  std::vector<TrainedParameter> trained(Model& model) {
    if (!command_.single_mask) return train_domain(model, task_);
    return make_trainable(model, [&](const ParameterRef& ref) {
      const bool old_module = ref.part == ParameterRef::Part::module && !is_of_new_module(model, ref);
      if (command_.rehearses()) return !old_module || ref.role == ParameterRole::row;
      return is_of_new_module(model, ref);
    });
  }

  /// What is trained from the start, and the matrices of which a single mask may train rows.
  TrainFilter may_be_trained() const {
    const bool rows = command_.single_mask && command_.token_rows > 0;
    return [rows](const ParameterRef& ref) { return ref.tensor->requires_grad() || (rows && ref.is_vocabulary()); };
  }

  std::int64_t added_weights() const {
    const std::int64_t modules = size_of(model_).weights - size_of(parent_).weights;
    if (command_.single_mask) return modules;
    std::int64_t copied = 0;  // model_ has them in the place of the originals
    for (const auto& [bank, positions] : plan_) {
      if (command_.start != NewModules::copy) break;
      for (const std::int64_t position : positions) {
        const Module& module = parent_.blocks[bank.first].bank(bank.second).modules[position];
        copied += weights_of(module);
      }
    }
    return modules + copied + private_weights(parent_, task_);
  }

  void count_new() {
    for (const Block& block : model_.blocks) {
      for (const Module& module : block.att.modules) report_.new_att += module.uid.empty() ? 1 : 0;
      for (const Module& module : block.mlp.modules) report_.new_mlp += module.uid.empty() ? 1 : 0;
    }
  }

  void learn(TrainTask& training, const PackedWindows& windows, const std::vector<TaskData>& tasks,
             const std::filesystem::path& folder, std::optional<SingleMask>& single_mask) {
    const TrainOptions& options = command_.options;
    if (single_mask) {
      single_mask->prepare(training, report_);
      training.extra_loss = single_mask->loss();
    }
    const double replay = single_mask ? single_mask->replay_share() : 0.0;
    training.batches = task_batches(windows, tasks, task_.record.name, replay, options, command_.memory);
    if (single_mask) training.batches = single_mask->with_rehearsal(std::move(training.batches));
    training.balance = false;
    training.group = session_.group;
    training.run_folder = folder;
    report_.training =
        train(training, options,
              hooks_for(session_, "extend", options,
                        validation_of(session_, *training.model, task_, context_, command_.eval_tokens)));
  }

  void commit(std::int64_t operation) {
    const bool replaced = !command_.single_mask && command_.start == NewModules::copy;
    without_modules_ = without_new_modules(parent_, model_, plan_, replaced);
    if (!command_.single_mask) {
      report_.domain = free_domain_name(base_.model, task_.record.name);
      without_modules_ = with_domain(base_.model, without_modules_, report_.domain, {}, /*replaced=*/false);
      model_ = with_domain(base_.model, model_, report_.domain, plan_, replaced);
      if (command_.eight_bits) {
        round_domain(without_modules_, report_.domain);
        round_domain(model_, report_.domain);
      }
    }
    const auto origin = [&](Kind kind, int layer, std::int64_t index) -> std::string {
      if (command_.start == NewModules::random) return "";
      const auto old = static_cast<std::int64_t>(base_.model.blocks[layer].bank(kind).modules.size());
      return parent_.blocks[layer].bank(kind).modules[plan_.at({layer, kind}).at(index - old)].uid;
    };
    const CommitResult result =
        commit_model(session_, operation, base_, model_, command_.into, task_.record.name, origin);
    report_.version = result.version;
    report_.kept_beside = result.kept_beside;
  }

  void measure_gain() {
    const auto own = std::find_if(report_.tasks.begin(), report_.tasks.end(),
                                  [&](const TaskChange& change) { return change.task == task_.record.name; });
    if (own == report_.tasks.end() || !own->before.has_value() || !own->after.has_value()) return;
    const auto rest = evaluate_task(session_, without_modules_, task_, Split::held_out, command_.eval_tokens);
    report_.gain = GainByPart{*own->before, rest->loss, *own->after};
  }

  void measure_leak(const std::vector<TaskData>& tasks, std::int64_t operation) {
    const auto later = session_.registry.born_after(base_.record.hash, report_.version->hash);
    for (const TaskData& task : tasks) {
      const Split split = measurable_split(session_, task);
      const auto stats = collect_routing(session_, model_, task, split, command_.eval_tokens);
      session_.registry.put_routing_stats(report_.version->hash, task.record.name, stats,
                                          measured_on(split, command_.eval_tokens, operation));
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
  ExtendCommand command_;
  const Tokenizer& tokenizer_;
  TaskData task_;
  std::int64_t context_;
  Model parent_;           ///< The base hypothesis.
  Model model_;            ///< Trained: parent_ and what is new; in the end the whole that is committed.
  Model without_modules_;  ///< What is committed without its new modules, for the report.
  NewModulePlan plan_;
  ExtendReport report_;
};

}  // namespace

ExtendReport extend(Session& session, const LoadedVersion& base, const ExtendCommand& command) {
  command.validate();
  require_trainable(base);
  check_base(command, base);
  if (session.group != nullptr && command.single_mask) {
    throw UsageError("--single-mask is not trained by several processes", "leave it out, or start one process");
  }
  announce_stages(session, base, command);
  return Extension(session, base, command).report();
}

}  // namespace mformer
