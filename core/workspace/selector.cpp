#include "core/workspace/selector.h"

#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <set>

#include "core/checkpoint/domain_config.h"
#include "core/model/domains.h"
#include "core/workspace/module_share.h"
#include "core/workspace/selector_syntax.h"
#include "modules_registry/error.h"
#include "modules_registry/suggest.h"

namespace mformer {
namespace {

using What = SelectorClause::What;
using Shares = std::map<std::string, double>;

/// One module as the clauses see it, and its place.
struct Candidate {
  const ModuleRecord* record;
  const ManifestModule* entry;
  std::size_t layer;
  Kind kind;
  std::int64_t index;
};
using Test = std::function<bool(const Candidate&)>;

/// What clauses look up in the registry, each thing once however many clauses ask for it.
class Lookup {
 public:
  Lookup(const Registry& registry, const std::string& version) : registry_(registry), version_(version) {}

  /// Share of its bank's work (module_share.h), by uid.
  const Shares& shares(const std::string& task) {
    if (const auto known = shares_.find(task); known != shares_.end()) return known->second;
    registry_.task(task);  // an unknown task names its neighbours
    const auto& stats = stats_[task] = registry_.routing_stats(version_, task);
    if (stats.empty()) {
      throw Error("task '" + task + "' has no routing statistics for this version",
                  "record them first: mformer inspect routing --task " + task);
    }
    const std::vector<ModuleShare> each = module_shares(stats);
    Shares& result = shares_[task];
    for (std::size_t i = 0; i < stats.size(); ++i) result[stats[i].module_uid] = each[i].value;
    return result;
  }

  /// The uids of the fewest most-used modules of each bank that together have `wanted` of its work.
  std::set<std::string> top_share(const std::string& task, double wanted) {
    const Shares& share = shares(task);
    std::map<std::pair<int, Kind>, std::vector<std::pair<double, std::string>>> banks;
    for (const RoutingStat& stat : stats_.at(task)) {
      banks[{stat.layer, stat.kind}].emplace_back(share.at(stat.module_uid), stat.module_uid);
    }
    std::set<std::string> chosen;
    for (auto& [key, modules] : banks) {
      std::sort(modules.rbegin(), modules.rend());
      double covered = 0;
      for (const auto& [one, uid] : modules) {
        if (covered >= wanted - 1e-12) break;
        chosen.insert(uid);
        covered += one;
      }
    }
    return chosen;
  }

  /// The uids of the domain's modules; of "base" those that belong to no domain.
  const std::set<std::string>& modules_of(const std::string& domain) {
    if (!owners_.has_value()) owners_ = module_owners(registry_.manifest(version_));
    const auto known = owners_->find(domain);
    if (known != owners_->end()) return known->second;
    std::vector<std::string> names;
    for (const auto& [name, uids] : *owners_) names.push_back(name);
    throw UsageError("the model has no domain '" + quotable(domain) + "'",
                     suggestion_hint(quotable(domain), names, "hypotheses", ""));
  }

 private:
  const Registry& registry_;
  const std::string& version_;
  std::map<std::string, std::vector<RoutingStat>> stats_;
  std::map<std::string, Shares> shares_;
  std::optional<std::map<std::string, std::set<std::string>>> owners_;
};

Test compare(const Shares& share, const SelectorClause& clause) {
  return [&share, op = clause.comparison, bound = clause.share](const Candidate& c) {
    const auto found = share.find(c.record->uid);
    const double value = found == share.end() ? 0.0 : found->second;
    if (op == ">=") return value >= bound;
    if (op == "<=") return value <= bound;
    return op == ">" ? value > bound : value < bound;
  };
}

Test one_of(std::set<std::string> uids) {
  return [uids = std::move(uids)](const Candidate& c) { return uids.count(c.record->uid) != 0; };
}

Test test_of(const SelectorClause& clause, Lookup& lookup) {
  switch (clause.what) {
    case What::all:
      return [](const Candidate&) { return true; };
    case What::kind:
      return [kind = clause.kind](const Candidate& c) { return c.record->kind == kind; };
    case What::layer:
      return [clause](const Candidate& c) { return c.record->layer >= clause.first && c.record->layer <= clause.last; };
    case What::index:
      return [clause](const Candidate& c) { return c.index >= clause.first && c.index <= clause.last; };
    case What::uid:
      return [uid = clause.name](const Candidate& c) { return c.record->uid.starts_with(uid); };
    case What::born:
      return [clause](const Candidate& c) {
        return c.record->born_command == clause.name && (clause.task.empty() || c.record->born_task == clause.task);
      };
    case What::domain:
      return one_of(lookup.modules_of(clause.name));
    case What::frozen:
      return [](const Candidate& c) { return c.entry->frozen; };
    case What::unfrozen:
      return [](const Candidate& c) { return !c.entry->frozen; };
    case What::share:
      return compare(lookup.shares(clause.task), clause);
    case What::top_share:
      return one_of(lookup.top_share(clause.task, clause.share));
  }
  return {};
}

std::vector<Candidate> candidates(const Manifest& manifest, const std::map<std::string, ModuleRecord>& records) {
  std::vector<Candidate> all;
  for (std::size_t l = 0; l < manifest.layers.size(); ++l) {
    for (const Kind kind : {Kind::att, Kind::mlp}) {
      std::int64_t index = 0;
      for (const ManifestModule& entry : manifest.layers[l].modules(kind)) {
        all.push_back({&records.at(entry.uid), &entry, l, kind, index++});
      }
    }
  }
  return all;
}

}  // namespace

ModuleSelection select_modules(const Registry& registry, const std::string& version, const Manifest& manifest,
                               const std::string& selector) {
  const std::vector<SelectorClause> clauses = read_selector(selector);
  std::map<std::string, ModuleRecord> records;
  for (ModuleRecord& record : registry.modules(version)) records.emplace(record.uid, std::move(record));
  std::vector<Candidate> left = candidates(manifest, records);
  Lookup lookup(registry, version);
  for (const SelectorClause& clause : clauses) {
    const Test test = test_of(clause, lookup);
    std::erase_if(left, [&](const Candidate& candidate) { return !test(candidate); });
  }
  ModuleSelection selection;
  selection.att.resize(manifest.layers.size());
  selection.mlp.resize(manifest.layers.size());
  for (const Candidate& one : left) selection.of(one.kind)[one.layer].push_back(one.index);
  if (count(selection) == 0)
    throw Error("the selector '" + quotable(selector) + "' selects no module",
                "mformer inspect modules lists them all");
  return selection;
}

std::int64_t count(const ModuleSelection& selection) {
  std::int64_t total = 0;
  for (const Kind kind : {Kind::att, Kind::mlp}) {
    for (const auto& positions : selection.of(kind)) total += static_cast<std::int64_t>(positions.size());
  }
  return total;
}

}  // namespace mformer
