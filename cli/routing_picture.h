#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cli/routing_cells.h"
#include "cli/terminal/style.h"

namespace mformer::cli {

/// Two heat maps, attention and feed-forward: rows are layers, columns modules, brightness the share of the layer's
/// slots, or, as the title then says, of its output norms; of banks of two versions how much more or less it is.
/// `marks`: what the cells' marks mean.
std::string draw_routing(const std::string& task, const std::vector<RoutingBank>& banks, const std::string& marks,
                         const terminal::Style& style);

/// One object a module: layer, kind, index, uid, born, slots, share and of what, mean gate, mean weighted output norm.
nlohmann::ordered_json routing_modules_json(const ModulePlaces& places, const std::vector<RoutingStat>& stats);

}  // namespace mformer::cli
