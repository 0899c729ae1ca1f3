#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cli/routing_cells.h"
#include "cli/terminal/report.h"

namespace mformer::cli {

/// How it is told: as pictures, or as one of these tables.
struct RoutingView {
  std::size_t top = 0;    ///< so many modules, those of the largest shares or changes; 0 = no such table
  bool by_birth = false;  ///< what bore the modules that do the work
};

/// Prints the task's picture or table (`marks`: what the pictures' marks mean), and adds to `row` of JSON what the view
/// asks for: "top" or "births".
void report_routing(terminal::Report& report, nlohmann::ordered_json& row, const RoutingOfTask& one,
                    const RoutingView& view, const std::string& marks);

/// Every module of a comparison: layer, kind, index, uid, born, share_before, share, change.
nlohmann::ordered_json compared_modules_json(const std::vector<RoutingBank>& banks);

}  // namespace mformer::cli
