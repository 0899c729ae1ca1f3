#include "core/workflows/merge.h"

#include <algorithm>
#include <set>

#include "core/history/commit.h"
#include "core/history/lineage.h"
#include "core/model/domains.h"
#include "core/surgery/join.h"
#include "core/training/even_mix.h"
#include "core/training/training_copy.h"
#include "core/workflows/stages.h"
#include "core/workspace/run_folder.h"

namespace mformer {
namespace {

VersionRecord ancestor_of(const Registry& of_a, const VersionRecord& a, const Registry& of_b, const VersionRecord& b) {
  const auto ancestor = common_ancestor(of_a, a, of_b, b);
  if (!ancestor) {
    throw Error(to_string(a) + " and " + to_string(b) + " have no version in common that both come from",
                "branches are made from one version: mformer extend --into NAME; one that was made in a copy of this "
                "workspace comes with --from DIR");
  }
  const VersionRecord& newer = ancestor->hash == a.hash ? b : a;
  if (ancestor->hash == a.hash || ancestor->hash == b.hash) {
    throw Error("there is nothing to merge: " + to_string(newer) + " has come from " + to_string(*ancestor) +
                    " and has all of it",
                "use it as it is: mformer use " + to_string(newer));
  }
  return *ancestor;
}

/// Modules of `later` that `earlier` does not have.
void count_added(const Model& later, const std::vector<std::string>& earlier, std::int64_t& att, std::int64_t& mlp) {
  const std::set<std::string> known(earlier.begin(), earlier.end());
  const auto fresh = [&](const Module& module) { return known.count(module.uid) == 0; };
  for (const Block& block : later.blocks) {
    att += std::count_if(block.att.modules.begin(), block.att.modules.end(), fresh);
    mlp += std::count_if(block.mlp.modules.begin(), block.mlp.modules.end(), fresh);
  }
}

bool contains(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

/// The workflow, step by step; the members are what the steps share.
class Merge {
 public:
  Merge(Session& session, const LoadedVersion& a, const LoadedVersion& b, const MergeCommand& command,
        const Registry& of_b)
      : session_(session),
        a_(a),
        b_(b),
        command_(command),
        of_b_(of_b),
        ancestor_(load_version(session.registry, ancestor_of(session.registry, a.record, of_b, b.record))) {
    require_only_added(ancestor_, a);
    require_only_added(ancestor_, b);
    model_ = join(ancestor_, a, b, command.rename);
  }

  MergeReport report() {
    describe();
    if (command_.review_steps > 0) prepare_review();
    if (command_.dry_run) return report_;
    announce_stages(session_, ancestor_, a_, is_elsewhere() ? "" : b_.record.hash, command_);
    if (a_.tokenizer) tasks_ = readable_tasks(session_, *a_.tokenizer);
    run_operation(session_, target_model(a_, command_.into), data(), [&](std::int64_t operation) {
      review();
      const CommitResult commit = commit_joined(session_, operation, a_, model_, command_.into, births());
      report_.version = commit.version;
      report_.kept_beside = commit.kept_beside;
      report_.cut_off = after_commit([&] {
        if (folder_) folder_->finish();
        report_.added_bytes = session_.registry.added_bytes(commit.version.hash);
        measure();
      });
    });
    return report_;
  }

 private:
  /// Whether the second branch comes from another workspace: then its scores can't be kept here.
  bool is_elsewhere() const { return &of_b_ != &session_.registry; }

  void describe() {
    report_.ancestor = ancestor_.record;
    count_added(a_.model, module_uids(ancestor_.manifest), report_.from_a_att, report_.from_a_mlp);
    count_added(model_, module_uids(a_.manifest), report_.from_b_att, report_.from_b_mlp);
    report_.size_before = size_of(a_.model);
    report_.size_after = size_of(model_);
    for (const Domain& domain : model_.domains) report_.domains.push_back(domain.name);
    for_each_module(model_, [&](const Module& module) { report_.frozen += module.frozen ? 1 : 0; });
  }

  /// Tasks that the merged version has been trained on, by either branch.
  std::vector<std::string> trained_tasks() const {
    std::vector<std::string> tasks = tasks_trained_until(session_.registry, a_.record);
    for (const std::string& task : tasks_trained_until(of_b_, b_.record)) {
      if (!contains(tasks, task)) tasks.push_back(task);
    }
    return tasks;
  }

  /// What the second branch was trained on is what the merge takes over.
  std::vector<OperationData> data() const {
    const auto known = tasks_trained_until(session_.registry, a_.record), all = trained_tasks();
    std::vector<OperationData> data;
    for (const TaskRecord& task : of_b_.tasks()) {
      if (contains(all, task.name) && !contains(known, task.name))
        data.push_back({"merge", task.name, task.data_path, task.content_hash});
    }
    for (const TaskRecord& task : session_.registry.tasks()) {
      if (command_.review_steps > 0 && contains(all, task.name))
        data.push_back({"review", task.name, task.data_path, task.content_hash});
    }
    return data;
  }

  /// Of the second branch's modules those that the first does not have, as they were born.
  std::vector<ModuleRecord> births() const {
    const auto uids = module_uids(a_.manifest);
    const std::set<std::string> known(uids.begin(), uids.end());
    std::vector<ModuleRecord> births;
    for (const ModuleRecord& module : of_b_.modules(b_.record.hash)) {
      if (known.count(module.uid) == 0) births.push_back(module);
    }
    return births;
  }

  /// What a review trains: the new modules' rows.
  TrainFilter reviewed() const {
    return [this](const ParameterRef& ref) {
      if (ref.role != ParameterRole::row) return false;
      const Module& module = shared_.blocks[ref.layer].bank(ref.kind).modules[ref.module];
      return old_.count(module.uid) == 0;
    };
  }

  void prepare_review() {
    require_trainable(a_);
    const auto uids = module_uids(ancestor_.manifest);
    old_ = {uids.begin(), uids.end()};
    model_ = clone(model_);
    shared_ = view_of(model_, kBaseHypothesis);  // shares the clone's tensors: domains keep their own routers
    make_trainable(shared_, reviewed());
    report_.trainable = count_trainable(shared_);
    if (report_.trainable.total() > 0) return;
    throw Error("there is nothing to review: all modules that the branches added belong to domains",
                "a domain's router is its own and needs no review: leave --review-steps out");
  }

  void review() {
    if (command_.review_steps == 0) return;
    const std::int64_t context = context_of(session_, command_.options, shared_);
    std::vector<PackedWindows> windows;
    std::vector<TaskData> reviewed_tasks;
    for (const TaskData& task : tasks_) {
      const bool enough = static_cast<std::int64_t>(task.tokens.train.tokens().size()) > context;
      if (!enough || !contains(trained_tasks(), task.record.name)) continue;
      windows.emplace_back(task.tokens.train, context, LastWindow::drop);
      reviewed_tasks.push_back(task);
    }
    if (windows.empty()) {
      throw Error("a review needs training text of the branches' tasks, and none can be read",
                  "mformer tasks lists where it should be; or merge without --review-steps");
    }
    TrainOptions options{command_.options, {}};
    options.steps = command_.review_steps;
    TrainingCopy copy(shared_, session_.device, options.bfloat16, reviewed());
    training_.model = &copy.model();
    training_.parameters = make_trainable(copy.model(), reviewed());
    training_.balance = false;
    training_.batches = even_mix(std::move(windows), options.seed, options.batch_size);
    folder_.emplace(session_, RunIdentity{a_.record.hash, content_of(reviewed_tasks), b_.record.hash},
                    command_.restart);
    training_.run_folder = folder_->path();
    report_.run_folder = folder_->path().string();
    report_.review = train(training_, options, hooks_for(session_, "review", options));
    copy.bring_back();
    make_untrainable(shared_);
  }

  void measure() {
    const auto of = [&](const std::string& version, const Model& model) {
      return losses(session_, version, model, tasks_, command_.eval_tokens);
    };
    const auto ancestor = of(ancestor_.record.hash, ancestor_.model), a = of(a_.record.hash, a_.model);
    const auto b = of(is_elsewhere() ? "" : b_.record.hash, b_.model), merged = of(report_.version->hash, model_);
    const auto loss = [](const std::optional<Evaluation>& evaluation) {
      return evaluation ? std::optional<double>(evaluation->loss) : std::nullopt;
    };
    for (std::size_t i = 0; i < tasks_.size(); ++i) {
      report_.tasks.push_back({tasks_[i].record.name, loss(ancestor[i]), loss(a[i]), loss(b[i]), loss(merged[i]),
                               merged[i] ? merged[i]->tokens : 0});
    }
  }

  Session& session_;
  const LoadedVersion &a_, &b_;
  const MergeCommand& command_;
  const Registry& of_b_;
  LoadedVersion ancestor_;
  Model model_;
  Model shared_;               ///< The base hypothesis of model_, which a review trains.
  std::set<std::string> old_;  ///< Uids of the ancestor's modules.
  std::vector<TaskData> tasks_;
  TrainTask training_;
  std::optional<RunFolder> folder_;
  MergeReport report_;
};

}  // namespace

MergeReport merge(Session& session, const LoadedVersion& a, const LoadedVersion& b, const MergeCommand& command,
                  const Registry& of_b) {
  command.validate();
  return Merge(session, a, b, command, of_b).report();
}

}  // namespace mformer
