#include "cli/version_graph_facts.h"

#include <algorithm>
#include <map>
#include <queue>
#include <unordered_map>
#include <utility>

#include "core/history/lineage.h"
#include "modules_registry/error.h"

namespace mformer::cli {
namespace {

constexpr std::size_t kNowhere = terminal::GraphLine::no_node;

/// Versions and their parents by their place in one list.
class Versions {
 public:
  explicit Versions(const Registry& registry) : all_(registry.all_versions()), parents_(all_.size()) {
    for (OperationRecord& operation : registry.operations()) {
      const std::int64_t id = operation.id;
      operations_.emplace(id, std::move(operation));
    }
    for (std::size_t i = 0; i < all_.size(); ++i) places_.emplace(all_[i].hash, i);
    for (std::size_t i = 0; i < all_.size(); ++i) {
      add_parent(i, all_[i].parent);
      if (const auto source = merge_source(operation_of(i))) add_parent(i, source->hash);
    }
  }

  std::size_t size() const { return all_.size(); }
  const VersionRecord& at(std::size_t place) const { return all_[place]; }
  const std::vector<std::size_t>& parents(std::size_t place) const { return parents_[place]; }
  const OperationRecord& operation_of(std::size_t place) const {
    const auto found = operations_.find(all_[place].operation_id);
    if (found != operations_.end()) return found->second;
    throw Error("the operation that made version " + all_[place].hash + " is lost", "mformer fsck says what is wrong");
  }
  /// By id.
  const std::map<std::int64_t, OperationRecord>& operations() const { return operations_; }

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

  std::vector<VersionRecord> all_;
  std::vector<std::vector<std::size_t>> parents_;
  std::map<std::int64_t, OperationRecord> operations_;
  std::unordered_map<std::string, std::size_t> places_;
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
    for (const auto& [id, operation] : versions.operations()) note_move(operation);
  }

  void tell(std::size_t place, GraphRow& row) const {
    const auto of = [place](const auto& map) {
      const auto found = map.find(place);
      return found == map.end() ? typename std::decay_t<decltype(map)>::mapped_type() : found->second;
    };
    row.models = of(models_);
    row.tags = of(tags_);
    for (const auto& [model, operation] : of(stood_)) row.stood.push_back({model, operation->id, operation->command});
    if (!reached_[place]) row.node.mark = terminal::GraphNode::Mark::left;
  }

 private:
  /// An operation that moved a model to a version that was there.
  void note_move(const OperationRecord& operation) {
    const std::size_t from = versions_.place_of(operation.version_before);
    const std::size_t to = versions_.place_of(operation.version_after);
    if (from == kNowhere || to == kNowhere || from == to || versions_.at(to).operation_id == operation.id) return;
    const auto stands = stands_.find(operation.model);
    if (stands == stands_.end() || history(stands->second)[from]) return;
    stood_[from][operation.model] = &operation;
  }

  const std::vector<bool>& history(std::size_t place) {
    const auto found = histories_.find(place);
    return found != histories_.end() ? found->second
                                     : histories_.emplace(place, versions_.history_of({place})).first->second;
  }

  const Versions& versions_;
  std::map<std::size_t, std::vector<std::string>> models_, tags_;
  std::map<std::string, std::size_t> stands_;
  std::map<std::size_t, std::map<std::string, const OperationRecord*>> stood_;
  std::map<std::size_t, std::vector<bool>> histories_;
  std::vector<bool> reached_;
};

}  // namespace

VersionGraph version_graph(const Registry& registry, const std::vector<std::string>& tips, int limit) {
  const Versions versions(registry);
  const Names names(registry, versions);
  std::vector<std::size_t> begin;
  for (const std::string& tip : tips) begin.push_back(versions.place_of(tip));
  const std::vector<bool> chosen = tips.empty() ? std::vector<bool>(versions.size(), true) : versions.history_of(begin);
  std::vector<std::size_t> order = children_first(versions, chosen);
  VersionGraph graph;
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
  for (const std::size_t place : order) {
    GraphRow& row =
        graph.rows.emplace_back(GraphRow{versions.at(place), versions.operation_of(place), {}, "", {}, {}, {}, {}});
    names.tell(place, row);
    if (const auto source = merge_source(row.operation)) row.merged = source->name;
    for (const std::size_t parent : versions.parents(place)) {
      row.parents.push_back(versions.at(parent));
      row.node.parents.push_back(number[parent]);
    }
    const bool current = std::find(row.models.begin(), row.models.end(), graph.current_model) != row.models.end();
    if (current) row.node.mark = terminal::GraphNode::Mark::current;
  }
  return graph;
}

}  // namespace mformer::cli
