#include "core/workflows/finetune.h"

#include <algorithm>
#include <map>
#include <set>

#include "core/history/commit.h"
#include "core/workflows/stages.h"
#include "core/workspace/routing_stats.h"
#include "core/workspace/selector_syntax.h"

namespace mformer {
namespace {

/// Positions of `kept` in the reduced model that hold one of the modules `selected` of the full one.
ModuleSelection places_in(const ModuleSelection& kept, const ModuleSelection& selected) {
  ModuleSelection places;
  for (const Kind kind : {Kind::att, Kind::mlp}) {
    places.of(kind).resize(kept.of(kind).size());
    for (std::size_t l = 0; l < kept.of(kind).size(); ++l) {
      const auto& wanted = selected.of(kind)[l];
      for (std::size_t i = 0; i < kept.of(kind)[l].size(); ++i) {
        if (std::find(wanted.begin(), wanted.end(), kept.of(kind)[l][i]) != wanted.end()) {
          places.of(kind)[l].push_back(static_cast<std::int64_t>(i));
        }
      }
    }
  }
  return places;
}

TrainFilter modules_at(ModuleSelection places) {
  return [places = std::move(places)](const ParameterRef& ref) {
    if (ref.part != ParameterRef::Part::module) return false;
    const auto& positions = places.of(ref.kind).at(ref.layer);
    return std::find(positions.begin(), positions.end(), ref.module) != positions.end();
  };
}

/// Uids of the modules that belong to the domain; of the base and of a plain version none.
std::set<std::string> own_modules(Model whole, const std::string& domain) {
  std::set<std::string> uids;
  for_each_module(whole, [&](const Module& module) {
    if (!domain.empty() && module.domain == domain) uids.insert(module.uid);
  });
  return uids;
}

/// The modules of `from` that are trained: by the selector, or all, or, of a domain in a version that it stays in, its
/// own.
ModuleSelection selected_of(const Session& session, const LoadedVersion& from, const FinetuneCommand& command,
                            const std::set<std::string>& own) {
  if (command.modules.empty() && !command.choice.has_value() && !own.empty()) {
    return modules_where(from.model, [&](const Module& module) { return own.count(module.uid) != 0; });
  }
  return select_modules(session.registry, from.record.hash, from.manifest,
                        command.modules.empty() ? "all" : command.modules);
}

bool all_among(const Model& model, const ModuleSelection& selected, const std::set<std::string>& uids) {
  for (std::size_t l = 0; l < model.blocks.size(); ++l) {
    for (const Kind kind : {Kind::att, Kind::mlp}) {
      for (const std::int64_t position : selected.of(kind)[l]) {
        if (uids.count(model.blocks[l].bank(kind).modules.at(position).uid) == 0) return false;
      }
    }
  }
  return true;
}

/// The whole version with the domain's own modules as they are in `tuned`.
Model with_modules_of(Model whole, Model tuned, const std::set<std::string>& own) {
  std::map<std::string, Module> now;
  for_each_module(tuned, [&](const Module& module) {
    if (own.count(module.uid) != 0) now.emplace(module.uid, module);
  });
  for_each_module(whole, [&](Module& module) {
    const auto found = now.find(module.uid);
    if (found == now.end()) return;
    take_weights(module, found->second);
  });
  return whole;
}

/// What is trained of the model that `kept` leaves.
TrainFilter filter_of(const FinetuneCommand& command, const ModuleSelection& kept, const ModuleSelection& selected) {
  if (command.choice.has_value() && command.modules.empty()) return [](const ParameterRef&) { return true; };
  ModuleSelection places = places_in(kept, selected);
  if (count(places) == 0) {
    throw Error("none of the modules that '" + quotable(command.modules) + "' selects is kept",
                "leave --modules out to train all that is kept, or keep more");
  }
  return modules_at(std::move(places));
}

/// Statistics of the task in a version: the registry's on the same tokens, or measured now and kept there.
std::vector<RoutingStat> routing_of(Session& session, const std::string& version, const Model& model,
                                    const TaskData& task, std::int64_t max_tokens, std::int64_t operation) {
  const Split split = measurable_split(session, task);
  const Measured on = measured_on(split, max_tokens, operation);
  std::vector<RoutingStat> stats = session.registry.routing_stats(version, task.record.name, on);
  if (!stats.empty()) return stats;
  stats = collect_routing(session, model, task, split, max_tokens);
  session.registry.put_routing_stats(version, task.record.name, stats, on);
  return stats;
}

}  // namespace

FinetuneReport finetune(Session& session, const LoadedVersion& base, const FinetuneCommand& command) {
  command.validate();
  require_trainable(base);
  const Tokenizer& tokenizer = require_tokenizer(base);
  announce_stages(session, base, command);
  TaskData task = open_task(session, tokenizer, command.task, command.data, /*replace=*/false, command.fields);
  say_what_was_left_out(session, task);
  require_validation(task, command.options, base.model.config.default_context());
  FinetuneReport report;
  report.hypothesis = choose_hypothesis(session, base, task, command.domain);
  announce(session, report.hypothesis);
  const LoadedVersion from = hypothesis_of(base, report.hypothesis.name);
  if (command.choice.has_value()) report.kept = choose_modules(session, from.model, task, *command.choice);
  const ModuleSelection kept = report.kept.value_or(all_modules(from.model));
  Model model = clone(select(from.model, kept));
  const auto own = own_modules(base.model, report.hypothesis.name);
  const ModuleSelection selected = selected_of(session, from, command, own);
  const TrainFilter filter = filter_of(command, kept, selected);
  report.in_place = !command.choice.has_value() && !own.empty() && all_among(from.model, selected, own);
  if (report.in_place) report.hypothesis.left_out.clear();
  make_trainable(model, filter);
  report.trainable = count_trainable(model);
  report.optimizer_bytes = report.trainable.optimizer_bytes();
  report.size_before = size_of(base.model);
  report.size_after = report.in_place ? report.size_before : size_of(model);
  const Teacher teacher = load_teacher(session, from, task, command.loss);
  report.memory = plan_memory(
      {model, command.options, session.device, /*balance=*/false, teacher.model.get(), command.options.keep_best});
  if (command.dry_run) return report;

  const Tuning tuning{model, task, session.command, filter, command.loss, teacher};
  const RunFolder folder = tuning_folder(session, base, command, tuning);
  report.run_folder = folder.path().string();
  const OperationData data{"train", task.record.name, task.record.data_path, task.record.content_hash};
  run_operation(session, target_model(base, command.into), {data}, [&](std::int64_t operation) {
    record_task(session, task, operation);
    const std::vector<TaskData> tasks = readable_tasks(session, tokenizer);
    const auto before = losses(session, base.record.hash, base.model, tasks, command.eval_tokens, operation);
    report.training = tune(session, base, command, tuning, folder.path());
    if (report.in_place) model = with_modules_of(base.model, model, own);
    const CommitResult commit = commit_model(session, operation, base, model, command.into);
    report.version = commit.version;
    report.kept_beside = commit.kept_beside;
    report.tasks = changes(tasks, before, unmeasured(tasks));
    report.cut_off = after_commit([&] {
      folder.finish();
      report.added_bytes = session.registry.added_bytes(commit.version.hash);
      report.tasks = changes(tasks, before, losses(session, commit.version.hash, model, tasks, command.eval_tokens));
      for (const TaskData& one : tasks) {
        const auto share = [&](const std::string& version, const Model& which) {
          return ninety_percent_share(routing_of(session, version, which, one, command.eval_tokens, operation));
        };
        report.concentration.push_back(
            {one.record.name, share(base.record.hash, base.model), share(commit.version.hash, model)});
      }
    });
  });
  return report;
}

}  // namespace mformer
