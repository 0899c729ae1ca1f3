#include <algorithm>
#include <cmath>
#include <set>

#include "cli/describe.h"
#include "cli/report/facts.h"
#include "core/workflows/routing_shift.h"
#include "core/workspace/module_share.h"
#include "modules_registry/error.h"

namespace mformer::cli {
namespace {

using nlohmann::ordered_json;

constexpr std::size_t kModuleBytes = 90;  // that one module takes in the page, about
constexpr std::size_t kRevisionsOfModule = 12;

/// Modules by their number in the page, each told of once.
class ModuleList {
 public:
  explicit ModuleList(const Registry& registry) : registry_(registry) {}

  std::size_t number(const ModuleRecord& module) {
    const auto [place, is_new] = numbers_.try_emplace(module.uid, numbers_.size());
    if (is_new) rows_.push_back(facts(module));
    return place->second;
  }
  std::size_t size() const { return numbers_.size(); }
  ordered_json take() { return std::move(rows_); }

 private:
  ordered_json facts(const ModuleRecord& module) const {
    std::vector<Revision> revisions = registry_.revisions(module.uid);
    ordered_json operations = ordered_json::array();
    const std::size_t first = revisions.size() > kRevisionsOfModule ? revisions.size() - kRevisionsOfModule : 0;
    for (std::size_t i = first; i < revisions.size(); ++i) operations.push_back(revisions[i].operation_id);
    return {module.uid,
            module.layer,
            module.kind == Kind::att ? 0 : 1,
            birth_name(module),
            module.born_operation,
            module.copied_from.empty() ? "" : origin_name(module),
            operations,
            first};
  }

  const Registry& registry_;
  std::map<std::string, std::size_t> numbers_;
  ordered_json rows_ = ordered_json::array();
};

/// Place of a list among those that are told, each once.
std::size_t place_of_list(ordered_json& lists, std::map<std::vector<std::size_t>, std::size_t>& known,
                          const std::vector<std::size_t>& list) {
  const auto [place, is_new] = known.try_emplace(list, known.size());
  if (is_new) lists.push_back(list);
  return place->second;
}

std::set<std::string> frozen_uids(const Manifest& manifest) {
  std::set<std::string> uids;
  for (const LayerManifest& layer : manifest.layers) {
    for (const Kind kind : {Kind::att, Kind::mlp}) {
      for (const ManifestModule& module : layer.modules(kind)) {
        if (module.frozen) uids.insert(module.uid);
      }
    }
  }
  return uids;
}

/// Shares in ten thousandths, in the order of the version's modules.
ordered_json map_facts(std::size_t version, const std::string& task, const std::vector<RoutingStat>& stats) {
  ordered_json shares = ordered_json::array();
  std::set<std::string> of_norm;
  const std::vector<ModuleShare> all = module_shares(stats);
  for (std::size_t i = 0; i < stats.size(); ++i) {
    shares.push_back(std::lround(all[i].value * 10000));
    if (all[i].of_norm) of_norm.insert(std::to_string(stats[i].layer) + std::string(to_string(stats[i].kind)));
  }
  return {{"version", version},
          {"task", task},
          {"tokens", stats.front().tokens},
          {"ninety_percent", ninety_percent_share(stats)},
          {"of_norm", of_norm},
          {"shares", shares}};
}

using KnownRouting = std::map<std::pair<std::size_t, std::string>, std::vector<RoutingStat>>;

/// The newest held-out loss of a task that two versions have over the same number of tokens.
ordered_json losses_of_both(const Registry& registry, const std::string& before, const std::string& after,
                            const std::string& task) {
  std::map<std::int64_t, double> known;
  const auto is_loss = [](const Score& score) { return score.split == "held_out" && score.metric == "loss"; };
  for (const Score& score : registry.scores(before, task)) {
    if (is_loss(score)) known[score.token_limit] = score.value;
  }
  ordered_json both = nullptr;
  for (const Score& score : registry.scores(after, task)) {
    const auto found = known.find(score.token_limit);
    if (is_loss(score) && found != known.end()) both = {found->second, score.value};
  }
  return both;
}

void add_shifts(ordered_json& data, const Registry& registry, const VersionGraph& graph, const KnownRouting& known) {
  auto& rows = data["shifts"] = ordered_json::array();
  for (const auto& [key, stats] : known) {
    const auto& [place, task] = key;
    const GraphRow& row = graph.rows[place];
    if (row.node.parents.empty()) continue;
    const auto before = known.find({row.node.parents.front(), task});
    if (before == known.end()) continue;
    try {
      const RoutingShift shift = routing_shifts({{task, before->second}}, {{task, stats}}).front();
      rows.push_back({{"from", row.node.parents.front()},
                      {"to", place},
                      {"task", task},
                      {"divergence", shift.divergence},
                      {"leak", shift.leak},
                      {"losses", losses_of_both(registry, row.parents.front()->hash, row.version.hash, task)}});
    } catch (const Error&) {
      continue;  // a version that has no layer in common with its parent can't be compared with it
    }
  }
}

}  // namespace

void add_modules(ordered_json& data, const Registry& registry, const VersionGraph& graph, std::size_t bytes) {
  ModuleList list(registry);
  std::map<std::vector<std::size_t>, std::size_t> layouts, frozen_sets;
  // Not yet in `data`: a new field there moves those that it has.
  ordered_json layout_rows = ordered_json::array(), frozen_rows = ordered_json::array();
  std::size_t used = 0;
  for (std::size_t i = 0; i < graph.rows.size() && used < bytes; ++i) {
    const std::string& hash = graph.rows[i].version.hash;
    const std::set<std::string> uids = frozen_uids(registry.manifest(hash));
    std::vector<std::size_t> layout, frozen;
    for (const ModuleRecord& module : registry.modules(hash)) {
      layout.push_back(list.number(module));
      if (uids.contains(module.uid)) frozen.push_back(layout.back());
    }
    data["versions"][i]["layout"] = place_of_list(layout_rows, layouts, layout);
    data["versions"][i]["frozen"] = place_of_list(frozen_rows, frozen_sets, frozen);
    used = list.size() * kModuleBytes;
    for (const auto* lists : {&layouts, &frozen_sets}) {
      for (const auto& [one, place] : *lists) used += one.size() * 5;
    }
  }
  data["layouts"] = std::move(layout_rows);
  data["frozen_sets"] = std::move(frozen_rows);
  data["modules"] = list.take();
}

void add_routing(ordered_json& data, const Registry& registry, const VersionGraph& graph, std::size_t bytes) {
  KnownRouting known;
  ordered_json maps = ordered_json::array();
  std::size_t used = 0, left_out = 0;
  const std::vector<TaskRecord> tasks = registry.tasks();
  for (std::size_t i = 0; i < graph.rows.size(); ++i) {
    for (const TaskRecord& task : tasks) {
      std::vector<RoutingStat> stats = registry.routing_stats(graph.rows[i].version.hash, task.name);
      if (stats.empty()) continue;
      ordered_json facts = map_facts(i, task.name, stats);
      used += facts["shares"].size() * 5;
      const bool fits = used <= bytes && data["versions"][i].contains("layout");
      if (fits) maps.push_back(std::move(facts));
      if (fits) known.emplace(std::pair(i, task.name), std::move(stats));
      left_out += fits ? 0 : 1;
    }
  }
  data["routing"] = std::move(maps);
  data["older_routing"] = left_out;
  add_shifts(data, registry, graph, known);
}

}  // namespace mformer::cli
