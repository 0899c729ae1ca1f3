#include "core/workflows/drop.h"

#include <algorithm>

#include "core/workflows/commit.h"
#include "core/workspace/selector.h"

namespace mformer {
namespace {

/// The positions that are not selected.
ModuleSelection complement(const Model& model, const ModuleSelection& selected) {
  ModuleSelection rest;
  for (std::size_t l = 0; l < model.blocks.size(); ++l) {
    for (const Kind kind : {Kind::att, Kind::mlp}) {
      const auto& gone = selected.of(kind).at(l);
      std::vector<std::int64_t> positions;
      const auto count = static_cast<std::int64_t>(model.blocks[l].bank(kind).modules.size());
      for (std::int64_t i = 0; i < count; ++i) {
        if (!std::binary_search(gone.begin(), gone.end(), i)) positions.push_back(i);
      }
      rest.of(kind).push_back(std::move(positions));
    }
  }
  return rest;
}

void require_enough(const Model& model, const ModuleSelection& rest) {
  for (std::size_t l = 0; l < model.blocks.size(); ++l) {
    for (const Kind kind : {Kind::att, Kind::mlp}) {
      const std::int64_t k = model.blocks[l].bank(kind).k;
      const auto left = static_cast<std::int64_t>(rest.of(kind)[l].size());
      if (left >= k) continue;
      throw Error("layer " + std::to_string(l) + " would keep " + std::to_string(left) + " " +
                      std::string(to_string(kind)) + " modules, but each token uses " + std::to_string(k),
                  "select fewer, for example what one extension added: mformer drop --born extend:TASK");
    }
  }
}

/// A module of the first version is trained by what comes later: taking it away takes more than its birth.
void require_untrained_if_first(const Registry& registry, const LoadedVersion& base, const ModuleSelection& selected) {
  for (std::size_t l = 0; l < base.model.blocks.size(); ++l) {
    for (const Kind kind : {Kind::att, Kind::mlp}) {
      for (const std::int64_t position : selected.of(kind)[l]) {
        const std::string& uid = base.model.blocks[l].bank(kind).modules[position].uid;
        const ModuleRecord record = registry.module(uid);
        const bool first = record.born_command == "init" || record.born_command == "import";
        if (!first || registry.revisions(uid).size() < 2) continue;
        throw Error("module " + uid + " (layer " + std::to_string(l) + ", " + std::string(to_string(kind)) +
                        ", index " + std::to_string(position) + ") is of the first version and was trained since",
                    "mformer prune --task NAME --keep F removes such modules by their use; drop is for what an "
                    "extension added: --born extend:TASK");
      }
    }
  }
}

}  // namespace

ModuleSelection select_any(const Registry& registry, const LoadedVersion& base,
                           const std::vector<std::string>& selectors) {
  if (selectors.empty()) {
    throw UsageError("no modules were named",
                     "for example: mformer drop --born extend:TASK; mformer inspect modules lists them");
  }
  ModuleSelection all;
  for (const std::string& selector : selectors) {
    const ModuleSelection one = select_modules(registry, base.record.hash, base.manifest, selector);
    for (const Kind kind : {Kind::att, Kind::mlp}) {
      all.of(kind).resize(one.of(kind).size());
      for (std::size_t l = 0; l < one.of(kind).size(); ++l) {
        std::vector<std::int64_t> joined;
        std::set_union(all.of(kind)[l].begin(), all.of(kind)[l].end(), one.of(kind)[l].begin(), one.of(kind)[l].end(),
                       std::back_inserter(joined));
        all.of(kind)[l] = std::move(joined);
      }
    }
  }
  return all;
}

Model without_modules(const Model& model, const ModuleSelection& selected, std::vector<std::string>&) {
  return select(model, complement(model, selected));
}

DropReport drop(Session& session, const LoadedVersion& base, const DropCommand& command) {
  const Registry& registry = session.registry;
  const ModuleSelection selected = select_any(registry, base, command.selectors);
  require_untrained_if_first(registry, base, selected);
  require_enough(base.model, complement(base.model, selected));
  DropReport report;
  Model model = without_modules(base.model, selected, report.domains);
  for (const auto& positions : selected.att) report.dropped_att += static_cast<std::int64_t>(positions.size());
  for (const auto& positions : selected.mlp) report.dropped_mlp += static_cast<std::int64_t>(positions.size());
  report.size_before = size_of(base.model);
  report.size_after = size_of(model);
  report.stored_before = registry.version_bytes(base.record.hash);
  report.stored_after = report.stored_before - (report.size_before.bytes - report.size_after.bytes);
  std::vector<TaskData> tasks;
  if (base.tokenizer) tasks = readable_tasks(session, *base.tokenizer);
  if (command.dry_run) {
    report.tasks = changes(tasks, losses(session, "", base.model, tasks, command.eval_tokens),
                           losses(session, "", model, tasks, command.eval_tokens));
    return report;
  }
  run_operation(session, target_model(base, command.into), {}, [&](std::int64_t operation) {
    const auto before = losses(session, base.record.hash, base.model, tasks, command.eval_tokens, operation);
    const CommitResult commit = commit_model(session, operation, base, model, command.into);
    report.version = commit.version;
    report.kept_beside = commit.kept_beside;
    report.stored_after = registry.version_bytes(commit.version.hash);
    report.tasks = changes(tasks, before, losses(session, commit.version.hash, model, tasks, command.eval_tokens));
  });
  return report;
}

}  // namespace mformer
