#include "core/workflows/graft.h"

#include <algorithm>
#include <set>

#include "core/history/commit.h"
#include "core/model/domains.h"
#include "core/surgery/domain_extension.h"
#include "core/workflows/stages.h"

namespace mformer {
namespace {

constexpr Kind kKinds[] = {Kind::att, Kind::mlp};

[[noreturn]] void refuse(const LoadedVersion& full, const LoadedVersion& small, const std::string& why) {
  throw Error(to_string(small.record) + " can't be grafted onto " + to_string(full.record) + ": " + why,
              "graft a version that mformer prune or finetune --keep made from it");
}

/// All that the config says but the numbers of modules.
std::string shape_of(const Model& model) {
  ModelConfig config = model.config;
  const std::vector<std::int64_t> none(model.blocks.size(), 0);
  config.set_expert_counts(none, none);
  return config.to_json();
}

void check(const LoadedVersion& full, const LoadedVersion& small) {
  if (!small.model.domains.empty()) refuse(full, small, "it has domains itself");
  if (shape_of(full.model) != shape_of(small.model)) refuse(full, small, "its config differs");
  if (full.manifest.tokenizer_object != small.manifest.tokenizer_object) refuse(full, small, "its tokenizer differs");
  const auto uids = module_uids(full.manifest);
  const std::set<std::string> known(uids.begin(), uids.end());
  for (const std::string& uid : module_uids(small.manifest)) {
    if (known.count(uid) == 0) refuse(full, small, "its module " + uid + " is not there");
  }
}

/// The task of the operation that made the version.
std::string task_of(const Registry& registry, const VersionRecord& version) {
  for (const OperationData& data : registry.operation(version.operation_id).data) {
    if (!data.task.empty()) return data.task;
  }
  throw UsageError("the domain has no name: " + to_string(version) + " was made for no task", "give --domain NAME");
}

/// The name that was asked for, which must be free, or the task's, made free.
std::string name_of(const Registry& registry, const Model& full, const VersionRecord& small,
                    const std::string& wanted) {
  if (wanted.empty()) return free_domain_name(full, task_of(registry, small));
  require_valid_name("domain", wanted);
  const auto taken = hypotheses(full);
  if (std::find(taken.begin(), taken.end(), wanted) == taken.end()) return wanted;
  throw UsageError("the model has a hypothesis '" + wanted + "' already", "choose another name: --domain NAME");
}

/// Full model and domain in one; the new modules come last in their banks and have no uid yet.
Model joined(const Model& full, const Model& small, const std::string& name) {
  Model model = full;
  model.domains.push_back({name, true, private_parts(view_of(full, kBaseHypothesis), small, true)});
  for (std::size_t l = 0; l < model.blocks.size(); ++l) {
    for (const Kind kind : kKinds) {
      for (Module module : small.blocks[l].bank(kind).modules) {
        module.uid.clear();
        module.domain = name;
        model.blocks[l].bank(kind).modules.push_back(std::move(module));
      }
    }
  }
  count_modules(model);
  return model;
}

}  // namespace

GraftReport graft(Session& session, const LoadedVersion& full, const LoadedVersion& small,
                  const GraftCommand& command) {
  check(full, small);
  GraftReport report;
  report.domain = name_of(session.registry, full.model, small.record, command.domain);
  Model model = joined(full.model, small.model, report.domain);
  for (const Block& block : small.model.blocks) {
    report.att_modules += static_cast<std::int64_t>(block.att.modules.size());
    report.mlp_modules += static_cast<std::int64_t>(block.mlp.modules.size());
  }
  for (const PrivatePart& part : model.domains.back().parts) report.private_weights += part.value.numel();
  report.size_before = size_of(full.model);
  report.size_after = size_of(model);
  if (command.dry_run) return report;

  announce_stages(session, full, command);
  run_operation(session, target_model(full, command.into), {}, [&](std::int64_t operation) {
    const auto origin = [&](Kind kind, int layer, std::int64_t index) {
      const auto old = static_cast<std::int64_t>(full.model.blocks[layer].bank(kind).modules.size());
      return small.model.blocks[layer].bank(kind).modules.at(index - old).uid;
    };
    const CommitResult commit = commit_model(session, operation, full, model, command.into, report.domain, origin);
    report.version = commit.version;
    report.kept_beside = commit.kept_beside;
    report.cut_off = after_commit([&] {
      report.added_bytes = session.registry.added_bytes(commit.version.hash);
      if (!full.tokenizer) return;
      const std::vector<TaskData> tasks = readable_tasks(session, *full.tokenizer);
      report.tasks = changes(tasks, losses(session, full.record.hash, full.model, tasks, command.eval_tokens),
                             losses(session, commit.version.hash, model, tasks, command.eval_tokens),
                             full.model.domains.size(), model.domains.size());
    });
  });
  return report;
}

}  // namespace mformer
