#include "cli/version_graph_facts.h"

#include <algorithm>
#include <map>
#include <memory>
#include <queue>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "core/history/lineage.h"

namespace mformer::cli {
namespace {

constexpr int kFew = 300;  // rows: from about there on one long query is quicker than three short ones for each
constexpr std::size_t kNowhere = terminal::GraphLine::no_node;

}  // namespace

/// All versions, and of operations all at once, or those that are asked for.
class GraphRecords {
 public:
  GraphRecords(const Registry& registry, bool all) : registry_(registry), versions_(registry.all_versions()) {
    if (!all) return;
    for (OperationRecord& operation : registry.operations()) {
      const std::int64_t id = operation.id;
      operations_.emplace(id, std::move(operation));
    }
  }
  GraphRecords(const GraphRecords&) = delete;
  GraphRecords& operator=(const GraphRecords&) = delete;

  const std::vector<VersionRecord>& versions() const { return versions_; }
  const OperationRecord& operation(std::int64_t id) {
    const auto found = operations_.find(id);
    return found != operations_.end() ? found->second : operations_.emplace(id, registry_.operation(id)).first->second;
  }

 private:
  const Registry& registry_;
  std::vector<VersionRecord> versions_;
  std::unordered_map<std::int64_t, OperationRecord> operations_;
};

namespace {

/// Versions and their parents by their place in one list.
class Versions {
 public:
  Versions(const Registry& registry, GraphRecords& records) : all_(records.versions()), parents_(all_.size()) {
    const std::vector<std::int64_t> merges = registry.operations_of("merge");
    places_.reserve(all_.size());
    for (std::size_t i = 0; i < all_.size(); ++i) places_.emplace(all_[i].hash, i);
    for (std::size_t i = 0; i < all_.size(); ++i) {
      add_parent(i, all_[i].parent);
      if (!std::binary_search(merges.begin(), merges.end(), all_[i].operation_id)) continue;
      if (const auto source = merge_source(records.operation(all_[i].operation_id))) add_parent(i, source->hash);
    }
  }

  std::size_t size() const { return all_.size(); }
  const VersionRecord& at(std::size_t place) const { return all_[place]; }
  const std::vector<std::size_t>& parents(std::size_t place) const { return parents_[place]; }

  /// Of those that were made for this model.
  std::vector<std::size_t> of_model(const std::string& model) const {
    std::vector<std::size_t> found;
    for (std::size_t i = 0; i < all_.size(); ++i) {
      if (!all_[i].removed && all_[i].model == model) found.push_back(i);
    }
    return found;
  }

  std::size_t place_of(const std::string& hash) const {
    const auto found = places_.find(hash);
    return found == places_.end() ? kNowhere : found->second;
  }

  /// Whether each version is one of these or an ancestor of one.
  std::vector<bool> history_of(std::vector<std::size_t> open) const {
    std::vector<bool> found(all_.size(), false);
    while (!open.empty()) {
      const std::size_t place = open.back();
      open.pop_back();
      if (place >= found.size() || found[place]) continue;
      found[place] = true;
      open.insert(open.end(), parents_[place].begin(), parents_[place].end());
    }
    return found;
  }

 private:
  void add_parent(std::size_t child, const std::string& hash) {
    const std::size_t parent = place_of(hash);
    std::vector<std::size_t>& known = parents_[child];
    if (parent != kNowhere && std::find(known.begin(), known.end(), parent) == known.end()) known.push_back(parent);
  }

  const std::vector<VersionRecord>& all_;
  std::vector<std::vector<std::size_t>> parents_;
  std::unordered_map<std::string_view, std::size_t> places_;  // of the hashes in all_
};

/// Of those chosen the newest first, but none before all that were made from it: the numbers of operations say when a
/// version was made here, which for one that came from another workspace need not be the order of its history.
std::vector<std::size_t> children_first(const Versions& versions, const std::vector<bool>& chosen) {
  std::vector<std::size_t> children(versions.size(), 0);
  for (std::size_t i = 0; i < versions.size(); ++i) {
    if (!chosen[i]) continue;
    for (const std::size_t parent : versions.parents(i)) ++children[parent];
  }
  std::priority_queue<std::size_t> open;  // places are in the order of making
  for (std::size_t i = 0; i < versions.size(); ++i) {
    if (chosen[i] && children[i] == 0) open.push(i);
  }
  std::vector<std::size_t> order;
  while (!open.empty()) {
    order.push_back(open.top());
    open.pop();
    for (const std::size_t parent : versions.parents(order.back())) {
      if (--children[parent] == 0) open.push(parent);
    }
  }
  return order;
}

/// Names, and what undo and move took them away from.
class Names {
 public:
  Names(const Registry& registry, const Versions& versions) : versions_(versions) {
    std::vector<std::size_t> named;
    for (const ModelRecord& model : registry.models()) {
      const std::size_t place = versions.place_of(model.current_version);
      if (place == kNowhere) continue;
      models_[place].push_back(model.name);
      stands_.emplace(model.name, place);
      named.push_back(place);
    }
    for (const TagRecord& tag : registry.tags()) {
      const std::size_t place = versions.place_of(tag.version);
      if (place == kNowhere) continue;
      tags_[place].push_back(tag.name);
      named.push_back(place);
    }
    named.push_back(versions.place_of(registry.looked_at()));
    reached_ = versions.history_of(named);
    for (const ModelMove& move : registry.model_moves()) note_move(move);
  }

  void tell(std::size_t place, GraphRow& row) const {
    const auto of = [place](const auto& map) {
      const auto found = map.find(place);
      return found == map.end() ? typename std::decay_t<decltype(map)>::mapped_type() : found->second;
    };
    row.models = of(models_);
    row.tags = of(tags_);
    for (const auto& [model, move] : of(stood_)) row.stood.push_back({model, move.operation_id, move.command});
    if (!reached_[place]) row.node.mark = terminal::GraphNode::Mark::left;
  }

 private:
  void note_move(const ModelMove& move) {
    const std::size_t from = versions_.place_of(move.before);
    if (from == kNowhere || versions_.place_of(move.after) == kNowhere) return;
    const auto stands = stands_.find(move.model);
    if (stands == stands_.end() || history(stands->second)[from]) return;
    stood_[from][move.model] = move;
  }

  const std::vector<bool>& history(std::size_t place) {
    const auto found = histories_.find(place);
    return found != histories_.end() ? found->second
                                     : histories_.emplace(place, versions_.history_of({place})).first->second;
  }

  const Versions& versions_;
  std::map<std::size_t, std::vector<std::string>> models_, tags_;
  std::map<std::string, std::size_t> stands_;
  std::map<std::size_t, std::map<std::string, ModelMove>> stood_;
  std::map<std::size_t, std::vector<bool>> histories_;
  std::vector<bool> reached_;
};

}  // namespace

VersionGraph version_graph(const Registry& registry, const GraphOf& of, int limit) {
  const auto records = std::make_shared<GraphRecords>(registry, limit == 0 || limit > kFew);
  const Versions versions(registry, *records);
  const Names names(registry, versions);
  std::vector<std::size_t> begin = of.model.empty() ? std::vector<std::size_t>() : versions.of_model(of.model);
  if (!of.version.empty()) begin.push_back(versions.place_of(of.version));
  const std::vector<bool> chosen =
      of.version.empty() ? std::vector<bool>(versions.size(), true) : versions.history_of(begin);
  std::vector<std::size_t> order = children_first(versions, chosen);
  VersionGraph graph;
  graph.records = records;
  graph.current_model = registry.current_model();
  graph.looked_at = registry.looked_at();
  if (limit > 0 && order.size() > static_cast<std::size_t>(limit)) {
    graph.older = order.size() - static_cast<std::size_t>(limit);
    order.resize(static_cast<std::size_t>(limit));
  }
  // What isn't shown has a number behind those of all that is.
  std::vector<std::size_t> number(versions.size());
  for (std::size_t i = 0; i < number.size(); ++i) number[i] = order.size() + i;
  for (std::size_t i = 0; i < order.size(); ++i) number[order[i]] = i;
  graph.rows.reserve(order.size());
  for (const std::size_t place : order) {
    const VersionRecord& version = versions.at(place);
    GraphRow& row =
        graph.rows.emplace_back(GraphRow{version, records->operation(version.operation_id), {}, "", {}, {}, {}, {}});
    names.tell(place, row);
    if (const auto source = merge_source(row.operation)) row.merged = source->name;
    for (const std::size_t parent : versions.parents(place)) {
      row.parents.push_back(&versions.at(parent));
      row.node.parents.push_back(number[parent]);
    }
    const bool current = std::find(row.models.begin(), row.models.end(), graph.current_model) != row.models.end();
    if (current) row.node.mark = terminal::GraphNode::Mark::current;
  }
  return graph;
}

}  // namespace mformer::cli
