#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "cli/terminal/style.h"
#include "core/model/model.h"
#include "modules_registry/registry.h"

namespace mformer::cli {

/// Routing statistics of one version as heat maps and as JSON.
class RoutingPicture {
 public:
  /// `model` is that of the version.
  RoutingPicture(const Registry& registry, const std::string& version, const Model& model);

  /// Whether any layer chooses among its modules: elsewhere all have as many slots.
  bool any_chosen() const { return all_taken_.size() < banks_; }

  /// Two heat maps, attention and feed-forward: rows are layers, columns modules, brightness the share of the layer's
  /// slots, or, where every module is taken, of the summed norms of what they put out. Modules born by an extension
  /// are marked.
  std::string draw(const std::string& task, const std::vector<RoutingStat>& stats, const terminal::Style& style) const;

  /// One object a module: layer, kind, index, uid, born, slots, share, mean gate, mean weighted output norm.
  nlohmann::ordered_json modules_json(const std::vector<RoutingStat>& stats) const;

 private:
  /// Where a module stands, and what bore it.
  struct Place {
    std::int64_t index = 0;
    std::string birth;  ///< as birth_name()
    char mark = ' ';    ///< of its extension; ' ' for first modules
  };

  /// What a module's share in its layer is counted in.
  double weight_of(const RoutingStat& stat) const;
  std::string draw_kind(Kind kind, const std::string& title, const std::vector<RoutingStat>& stats,
                        const terminal::Style& style) const;

  std::map<std::string, Place> places_;
  std::set<std::pair<int, Kind>> all_taken_;
  std::size_t banks_ = 0;
  std::map<char, std::string> births_by_mark_;
};

}  // namespace mformer::cli
