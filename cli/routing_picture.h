#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cli/terminal/style.h"
#include "modules_registry/registry.h"

namespace mformer::cli {

/// Routing statistics of one version as heat maps and as JSON.
class RoutingPicture {
 public:
  RoutingPicture(const Registry& registry, const std::string& version);

  /// Two heat maps, attention and feed-forward: rows are layers, columns modules, brightness the share of the layer's
  /// slots, or, as the title then says, of its output norms (core/workspace/module_share.h). Modules born by an
  /// extension are marked.
  std::string draw(const std::string& task, const std::vector<RoutingStat>& stats, const terminal::Style& style) const;

  /// One object a module: layer, kind, index, uid, born, slots, share and of what, mean gate, mean weighted output norm.
  nlohmann::ordered_json modules_json(const std::vector<RoutingStat>& stats) const;

 private:
  /// Where a module stands, and what bore it.
  struct Place {
    std::int64_t index = 0;
    std::string birth;  ///< as birth_name()
    char mark = ' ';    ///< of its extension; ' ' for first modules
  };

  std::string draw_kind(Kind kind, const std::string& title, const std::vector<RoutingStat>& stats,
                        const terminal::Style& style) const;

  std::map<std::string, Place> places_;
  std::map<char, std::string> births_by_mark_;
};

}  // namespace mformer::cli
