#include "core/workflows/finetune.h"

#include <algorithm>

#include "core/workflows/commit.h"
#include "core/workflows/hypothesis.h"
#include "core/workspace/routing_stats.h"

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

/// What is trained of the model that `kept` leaves.
TrainFilter filter_of(const Session& session, const LoadedVersion& base, const FinetuneCommand& command,
                      const ModuleSelection& kept) {
  if (command.choice.has_value() && command.modules.empty()) return [](const ParameterRef&) { return true; };
  const std::string selector = command.modules.empty() ? "all" : command.modules;
  ModuleSelection places = places_in(kept, select_modules(session.registry, base.record.hash, base.manifest, selector));
  if (count(places) == 0) {
    throw Error("none of the modules that '" + selector + "' selects is kept",
                "leave --modules out to train all that is kept, or keep more");
  }
  return modules_at(std::move(places));
}

/// Statistics of the task in a version: the registry's, or measured now and kept there.
std::vector<RoutingStat> routing_of(Session& session, const std::string& version, const Model& model,
                                    const TaskData& task, std::int64_t max_tokens) {
  std::vector<RoutingStat> stats = session.registry.routing_stats(version, task.record.name);
  if (!stats.empty()) return stats;
  stats = collect_routing(session, model, task, measurable_split(session, task), max_tokens);
  session.registry.put_routing_stats(version, task.record.name, stats);
  return stats;
}

}  // namespace

FinetuneReport finetune(Session& session, const LoadedVersion& base, const FinetuneCommand& command) {
  command.options.validate();
  command.loss.validate();
  if (command.choice.has_value()) command.choice->validate();
  require_trainable(base);
  const Tokenizer& tokenizer = require_tokenizer(base);
  TaskData task = open_task(session, tokenizer, command.task, command.data, /*replace=*/false, command.fields);
  say_what_was_left_out(session, task);
  const LoadedVersion from = hypothesis_of(base, command.domain);
  FinetuneReport report;
  if (command.choice.has_value()) report.kept = choose_modules(session, from.model, task, *command.choice);
  const ModuleSelection kept = report.kept.value_or(all_modules(from.model));
  Model model = clone(select(from.model, kept));
  const TrainFilter filter = filter_of(session, from, command, kept);
  make_trainable(model, filter);
  report.trainable = count_trainable(model);
  report.optimizer_bytes = report.trainable.optimizer_bytes();
  report.size_before = size_of(base.model);
  report.size_after = size_of(model);
  const Teacher teacher = load_teacher(session.registry, from, command.loss);
  report.memory = plan_memory({model, command.options, session.device, /*balance=*/false, teacher.model.get()});
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
          return ninety_percent_share(routing_of(session, version, which, one, command.eval_tokens));
        };
        report.concentration.push_back(
            {one.record.name, share(base.record.hash, base.model), share(commit.version.hash, model)});
      }
    });
  });
  return report;
}

}  // namespace mformer
