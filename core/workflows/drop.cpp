#include "core/workflows/drop.h"

#include <algorithm>
#include <map>
#include <set>

#include "core/checkpoint/domain_config.h"
#include "core/history/commit.h"
#include "core/history/lineage.h"
#include "core/model/domains.h"
#include "core/workflows/stages.h"
#include "core/workspace/selector.h"
#include "core/workspace/selector_syntax.h"

namespace mformer {
namespace {

std::set<std::string> uids_of(const Model& model, const ModuleSelection& selected) {
  std::set<std::string> uids;
  for (std::size_t l = 0; l < model.blocks.size(); ++l) {
    for (const Kind kind : {Kind::att, Kind::mlp}) {
      for (const std::int64_t i : selected.of(kind).at(l)) uids.insert(model.blocks[l].bank(kind).modules.at(i).uid);
    }
  }
  return uids;
}

/// The positions of the modules that are not among `gone`.
ModuleSelection all_but(const Model& model, const std::set<std::string>& gone) {
  return modules_where(model, [&](const Module& module) { return gone.count(module.uid) == 0; });
}

/// Domains with modules, all of which are among `gone`.
std::vector<std::string> domains_of(const Model& model, const std::set<std::string>& gone) {
  std::map<std::string, bool> all_gone;
  for (const Block& block : model.blocks) {
    for (const Kind kind : {Kind::att, Kind::mlp}) {
      for (const Module& module : block.bank(kind).modules) {
        const auto entry = all_gone.emplace(module.domain, true).first;
        entry->second = entry->second && gone.count(module.uid) != 0;
      }
    }
  }
  std::vector<std::string> names;
  for (const Domain& domain : model.domains) {
    if (all_gone.count(domain.name) != 0 && all_gone.at(domain.name)) names.push_back(domain.name);
  }
  return names;
}

/// Of every hypothesis of the model, with `gone` taken away.
void require_enough(const Model& model, const std::set<std::string>& gone) {
  for (const std::string& hypothesis : hypotheses(model)) {
    const Model view = view_of(model, hypothesis);
    const ModuleSelection rest = all_but(view, gone);
    for (std::size_t l = 0; l < view.blocks.size(); ++l) {
      for (const Kind kind : {Kind::att, Kind::mlp}) {
        const std::int64_t k = view.blocks[l].bank(kind).least();
        const auto left = static_cast<std::int64_t>(rest.of(kind)[l].size());
        if (left >= k) continue;
        throw TooLittleLeft("layer " + std::to_string(l) + " would keep " + std::to_string(left) + " " +
                                std::string(to_string(kind)) + " modules" +
                                (model.domains.empty() ? "" : " for '" + hypothesis + "'") + ", but each token uses " +
                                std::to_string(k),
                            "select fewer, for example what one extension added: mformer drop --born extend:TASK");
      }
    }
  }
}

/// The weights' objects with which the modules came into the line of versions that leads to this one. What other
/// models made of them does not count.
std::map<std::string, std::string> first_objects(const Registry& registry, const LoadedVersion& base) {
  std::map<std::string, std::string> objects;
  std::vector<VersionRecord> line = ancestry(registry, base.record);
  std::reverse(line.begin(), line.end());
  for (const VersionRecord& version : line) {
    for (const LayerManifest& layer : registry.manifest(version.hash).layers) {
      for (const Kind kind : {Kind::att, Kind::mlp}) {
        for (const ManifestModule& module : layer.modules(kind)) objects.emplace(module.uid, module.object_hash);
      }
    }
  }
  return objects;
}

/// A module of the first version is trained by what comes later: taking it away takes more than its birth.
void require_untrained_if_first(const Registry& registry, const LoadedVersion& base, const ModuleSelection& selected) {
  std::optional<std::map<std::string, std::string>> objects;  // a long line takes time: only if need be
  for (std::size_t l = 0; l < base.model.blocks.size(); ++l) {
    for (const Kind kind : {Kind::att, Kind::mlp}) {
      for (const std::int64_t position : selected.of(kind)[l]) {
        const ManifestModule& entry = base.manifest.layers[l].modules(kind).at(position);
        const std::string& uid = entry.uid;
        const ModuleRecord record = registry.module(uid);
        const bool first = record.born_command == "init" || record.born_command == "import";
        if (!first || registry.revisions(uid).size() < 2) continue;
        if (!objects.has_value()) objects = first_objects(registry, base);
        if (objects->at(uid) == entry.object_hash) continue;
        throw Error("module " + uid + " (layer " + std::to_string(l) + ", " + std::string(to_string(kind)) +
                        ", index " + std::to_string(position) + ") is of the first version and was trained since",
                    "mformer prune --task NAME --keep F removes such modules by their use; drop is for what an "
                    "extension added: --born extend:TASK");
      }
    }
  }
}

/// Takes those selectors out that name nothing but a domain without a module, which no selector could pick; returns the
/// domains.
std::vector<std::string> take_empty_domains(const LoadedVersion& base, std::vector<std::string>& selectors) {
  const auto owners = module_owners(base.manifest);
  std::vector<std::string> names;
  std::erase_if(selectors, [&](const std::string& selector) {
    const auto clauses = read_selector(selector);
    if (clauses.size() != 1 || clauses[0].what != SelectorClause::What::domain) return false;
    const auto owned = owners.find(clauses[0].name);
    if (owned == owners.end() || !owned->second.empty() || owned->first == kBaseHypothesis) return false;
    if (std::find(names.begin(), names.end(), owned->first) == names.end()) names.push_back(owned->first);
    return true;
  });
  return names;
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

Model without_modules(const Model& model, const ModuleSelection& selected, std::vector<std::string>& domains) {
  const std::set<std::string> gone = uids_of(model, selected);
  Model rest = model;
  for (std::string& name : domains_of(model, gone)) domains.push_back(std::move(name));
  for (const std::string& name : domains) rest = without_domain(rest, name);
  require_enough(rest, gone);
  return select(rest, all_but(rest, gone));
}

DropReport drop(Session& session, const LoadedVersion& base, const DropCommand& command) {
  const Registry& registry = session.registry;
  DropReport report;
  std::vector<std::string> selectors = command.selectors;
  report.domains = take_empty_domains(base, selectors);
  ModuleSelection selected = modules_where(base.model, [](const Module&) { return false; });
  if (!selectors.empty() || report.domains.empty()) selected = select_any(registry, base, selectors);
  require_untrained_if_first(registry, base, selected);
  Model model = without_modules(base.model, selected, report.domains);
  for (const auto& positions : selected.att) report.dropped_att += static_cast<std::int64_t>(positions.size());
  for (const auto& positions : selected.mlp) report.dropped_mlp += static_cast<std::int64_t>(positions.size());
  report.size_before = size_of(base.model);
  report.size_after = size_of(model);
  report.stored_before = registry.version_bytes(base.record.hash);
  report.stored_after = report.stored_before - (report.size_before.bytes - report.size_after.bytes);
  announce_stages(session, base, command);
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
    report.tasks = changes(tasks, before, unmeasured(tasks));
    report.cut_off = after_commit([&] {
      report.stored_after = registry.version_bytes(commit.version.hash);
      report.tasks = changes(tasks, before, losses(session, commit.version.hash, model, tasks, command.eval_tokens));
    });
  });
  return report;
}

}  // namespace mformer
