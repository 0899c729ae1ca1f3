#include "core/workflows/upcycle.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "core/families/family.h"
#include "core/history/commit.h"
#include "core/model/forward.h"
#include "core/surgery/slice_fit.h"
#include "core/workflows/stages.h"

namespace mformer {
namespace {

void require_no_domains(const LoadedVersion& base) {
  if (base.model.domains.empty()) return;
  std::string clauses;
  for (const Domain& domain : base.model.domains) clauses += " domain=" + domain.name;
  throw Error(to_string(base.record) + " has domains, whose hypotheses hold copies of modules that would be gone",
              "upcycle it before it is extended, or take the domains away first: mformer drop" + clauses);
}

/// The numbers of slices that are chosen, over a training: state that a resumed run finds again.
class SliceSchedule {
 public:
  SliceSchedule(const UpcycleCommand& command, std::vector<std::int64_t> layers)
      : command_(command), layers_(std::move(layers)) {}

  /// The weights are as `steps` steps left them, scaled already.
  void resumed(Model& model, std::int64_t steps) const { set_chosen(model, layers_, at(steps - 1)); }

  void before_step(Model& model, std::int64_t step) const {
    const at::NoGradGuard no_grad;
    if (at(step) != at(step - 1)) choose_slices(model, layers_, at(step));
  }

 private:
  std::int64_t at(std::int64_t step) const {
    return step < 0 ? command_.slices : slices_at(step, command_.steps, command_.lower, command_.slices, command_.k);
  }

  const UpcycleCommand& command_;
  std::vector<std::int64_t> layers_;
};

/// The workflow, step by step; the members are what the steps share.
class Upcycling {
 public:
  Upcycling(Session& session, const LoadedVersion& base, const UpcycleCommand& command)
      : session_(session), base_(base), command_(command), plan_(command.plan()), layers_(dense_layers(base.model)) {}

  UpcycleReport report() {
    require_task();
    announce_stages(session_, base_, command_);
    open_task_of_command();
    model_ = in_modules();
    exact_ = model_;
    compare_logits();
    describe();
    plan_training();
    if (command_.dry_run) return report_;
    std::vector<OperationData> data;
    if (task_) data.push_back({"upcycle", task_->record.name, task_->record.data_path, task_->record.content_hash});
    run_operation(session_, target_model(base_, command_.into), data, [&](std::int64_t operation) {
      if (task_) record_task(session_, *task_, operation);
      report_.dense = measured(base_.model);
      tell_apart();
      train_all();
      commit(operation);
    });
    return report_;
  }

 private:
  bool names_task() const { return !command_.task.empty() || !command_.data.empty(); }

  void require_task() const {
    const bool given = names_task();
    if (!given && command_.steps > 0) {
      throw UsageError("--steps train on a task, and none is named", "--data DIR, or --task NAME");
    }
    if (!given && command_.fits_routers()) {
      throw UsageError("which slices a token needs is learned from text, and none is named",
                       "--data DIR, or --task NAME; with --k " + std::to_string(command_.slices) +
                           " all are taken, and none is needed");
    }
  }

  void open_task_of_command() {
    if (!names_task()) return;
    task_ =
        open_task(session_, require_tokenizer(base_), command_.task, command_.data, /*replace=*/false, command_.fields);
    say_what_was_left_out(session_, *task_);
  }

  Model in_modules() const {
    Model model = upcycled(base_.model, plan_);
    settle_family(model.config);
    return model;
  }

  /// On tokens at random, which need no text.
  void compare_logits() {
    const at::NoGradGuard no_grad;
    at::Generator generator = at::detail::createCPUGenerator(20231);
    const std::int64_t tokens = std::min<std::int64_t>(64, base_.model.config.block_size);
    const at::Tensor ids = at::empty({1, tokens}, at::kLong).random_(0, base_.model.config.vocab_size, generator);
    const auto logits = [&](const Model& model) { return logits_of(model, forward(model, ids).hidden); };
    const at::Tensor dense = logits(base_.model);
    report_.difference = (logits(exact_) - dense).abs().max().item<double>();
    report_.largest_logit = dense.abs().max().item<double>();
    constexpr double kRounding = 1e-4;  // of float32 sums; bfloat16 weights are multiplied as bfloat16
    if (report_.difference > kRounding * report_.largest_logit) {
      session_.watcher.say("the weights are " + std::string(c10::toString(base_.model.wte.scalar_type())) +
                           ": sums in another order differ by as much as its rounding");
    }
  }

  void describe() {
    report_.layers = static_cast<std::int64_t>(layers_.size());
    report_.new_modules = report_.layers * plan_.modules;
    for (const std::int64_t layer : layers_) report_.source_modules += base_.model.blocks[layer].mlp.size();
    report_.size_before = size_of(base_.model);
    report_.size_after = size_of(model_);
    ModelConfig config = model_.config;
    config.k_mlp = plan_.k;
    report_.active_before = base_.model.config.active_parameter_count();
    report_.active_after = config.active_parameter_count();
    report_.family = family_that_holds(config).value_or("");
  }

  void plan_training() {
    if (command_.steps == 0) return;
    training_windows(*task_, context_of(session_, command_.options, base_.model));  // or it says what is missing
    teacher_ = load_teacher(session_, base_, *task_, command_.loss);
    Model model = model_;
    make_trainable(model, trained());
    report_.trainable = count_trainable(model);
    report_.memory = plan_memory({model, command_.options, session_.device, balances(), teacher_.model.get()});
    make_untrainable(model);
  }

  bool balances() const { return model_.config.aux_loss_weight > 0; }

  /// Everything; but fitted rows of slices stay as they are. Their logits differ by little, so that gates stay nearly
  /// alike, and AdamW would make them forget in some steps which slices matter.
  TrainFilter trained() const {
    if (!command_.fits_routers()) return [](const ParameterRef&) { return true; };
    return [layers = layers_](const ParameterRef& ref) {
      return ref.role != ParameterRole::row || ref.kind == Kind::att ||
             !std::binary_search(layers.begin(), layers.end(), ref.layer);
    };
  }

  std::optional<UpcycleMeasure> measured(const Model& model) {
    if (!task_) return std::nullopt;
    const auto start = std::chrono::steady_clock::now();
    const auto result = evaluate_task(session_, model, *task_, Split::held_out, command_.eval_tokens);
    if (!result) return std::nullopt;
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    return UpcycleMeasure{result->loss, seconds, result->tokens};
  }

  /// What makes the copies differ, or lets fewer slices be chosen; the exact step is measured before, what comes of it
  /// after, unless nothing is done to it.
  void tell_apart() {
    const bool changes = command_.noise > 0 || command_.fits_routers();
    if (changes || command_.steps > 0) report_.exact = measured(exact_);
    if (!changes) return;
    if (command_.fits_routers()) {
      plan_.order =
          order_units(session_, exact_, layers_, units_of_a_module(base_.model, plan_), *task_, command_.stat_tokens);
      model_ = in_modules();
      fit_rows(session_, model_, layers_, *task_, command_.stat_tokens);
    }
    add_noise(model_, layers_, command_.noise, plan_.seed);
    if (command_.fits_routers() && (command_.steps == 0 || command_.lower == 0)) {
      model_ = clone(model_);
      choose_slices(model_, layers_, plan_.k);
    }
    if (command_.steps > 0) report_.apart = measured(model_);
  }

  void train_all() {
    if (command_.steps == 0) return;
    TrainCommand training{command_, {command_.options, {}}};
    training.options.steps = command_.steps;
    training.options.eval_every = command_.eval_every;
    model_ = clone(model_);
    const SliceSchedule schedule(command_, layers_);
    Tuning tuning{model_, *task_, "upcycle", trained(), command_.loss, teacher_, balances()};
    const bool lowers = command_.fits_routers() && command_.lower > 0;
    if (lowers) {
      tuning.resumed = [&](Model& model, std::int64_t steps) { schedule.resumed(model, steps); };
      tuning.before_step = [&](Model& model, std::int64_t step) { schedule.before_step(model, step); };
    }
    folder_.emplace(tuning_folder(session_, base_, training, tuning));
    report_.run_folder = folder_->path().string();
    report_.training = tune(session_, base_, training, tuning, folder_->path());
    if (lowers) set_chosen(model_, layers_, plan_.k);  // of a copy on another device only the weights came back
  }

  void commit(std::int64_t operation) {
    const auto origin = [&](Kind, int layer, std::int64_t index) {
      return sources_of(base_.model, plan_, layer, index);
    };
    const CommitResult commit =
        commit_model(session_, operation, base_, model_, command_.into, task_ ? task_->record.name : "", origin);
    report_.version = commit.version;
    report_.kept_beside = commit.kept_beside;
    report_.cut_off = after_commit([&] {
      if (folder_) folder_->finish();
      report_.added_bytes = session_.registry.added_bytes(commit.version.hash);
      report_.after = measured(model_);
      measure_all(commit.version.hash);
    });
  }

  /// Every known task; what was timed is not measured again.
  void measure_all(const std::string& version) {
    if (!base_.tokenizer) return;
    const auto keep = [&](const std::string& of, const std::optional<UpcycleMeasure>& measure) {
      if (!measure) return;
      keep_score(session_, of, task_->record.name, Evaluation{measure->loss, measure->tokens}, command_.eval_tokens);
    };
    keep(base_.record.hash, report_.dense);
    keep(version, report_.after);
    const std::vector<TaskData> tasks = readable_tasks(session_, *base_.tokenizer);
    report_.tasks = changes(tasks, losses(session_, base_.record.hash, base_.model, tasks, command_.eval_tokens),
                            losses(session_, version, model_, tasks, command_.eval_tokens));
  }

  Session& session_;
  const LoadedVersion& base_;
  const UpcycleCommand& command_;
  UpcyclePlan plan_;
  std::vector<std::int64_t> layers_;
  std::optional<TaskData> task_;
  Model exact_, model_;
  Teacher teacher_;
  std::optional<RunFolder> folder_;
  UpcycleReport report_;
};

}  // namespace

UpcyclePlan UpcycleCommand::plan() const {
  return {form(), modules(), k, balance.value_or(-1), options.seed};
}

UpcycleReport upcycle(Session& session, const LoadedVersion& base, const UpcycleCommand& command) {
  command.validate();
  require_no_domains(base);
  require_upcyclable(base.model, command.plan(), to_string(base.record));
  return Upcycling(session, base, command).report();
}

std::int64_t slices_at(std::int64_t step, std::int64_t steps, double lower, std::int64_t all, std::int64_t k) {
  const auto over = std::max<std::int64_t>(1, std::llround(lower * static_cast<double>(steps)));
  if (step + 1 >= over) return k;
  return all - (all - k) * (step + 1) / over;
}

}  // namespace mformer
