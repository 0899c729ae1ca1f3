#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "modules_registry/registry.h"

namespace mformer::cli {

/// Where a module of a version stands, and what bore it.
struct ModulePlace {
  std::int64_t index = 0;  ///< in its layer and kind
  std::string birth;       ///< as birth_name()
  char mark = ' ';         ///< of its extension, a, b, … z, then *; ' ' for modules of no extension
};

/// The places of a version's modules.
class ModulePlaces {
 public:
  ModulePlaces(const Registry& registry, const std::string& version);

  /// Of a module that the version has.
  const ModulePlace& at(const std::string& uid) const { return places_.at(uid); }
  bool has(const std::string& uid) const { return places_.contains(uid); }
  /// "a born by extend:german, b born by extend:code"; empty where no extension bore any.
  std::string marks_meaning() const;

 private:
  std::map<std::string, ModulePlace> places_;
  std::map<char, std::string> births_by_mark_;
};

/// A module in a picture of routing: its share of its layer's and kind's work (core/workspace/module_share.h).
struct RoutingCell {
  std::string uid, birth;
  char mark = ' ';
  std::optional<double> share;     ///< absent where the version does not have the module
  std::optional<double> before{};  ///< the same of the version that it is held against
  std::int64_t index = 0;          ///< its place in the version; of one that it does not have its place in the other

  /// Whether two versions are held against each other.
  bool is_compared() const { return before.has_value() || mark == '+'; }
  double change() const { return share.value_or(0) - before.value_or(0); }
};

struct RoutingBank {
  int layer = 0;
  Kind kind = Kind::mlp;
  bool of_norm = false;  ///< shares of output norms rather than of slots, in either version
  std::vector<RoutingCell> cells;
};

/// The routing of one task, of one version or of two held against each other.
struct RoutingOfTask {
  std::string task;
  std::vector<RoutingBank> banks;
};

/// By layer and kind (attention first), modules by their places.
std::vector<RoutingBank> routing_banks(const ModulePlaces& places, const std::vector<RoutingStat>& stats);

/// The same of two versions, module by module: those of `before` by their places there, and behind them those that it
/// does not have. Marks: '+' is new, 'x' is gone.
std::vector<RoutingBank> routing_banks(const ModulePlaces& before, const std::vector<RoutingStat>& stats_before,
                                       const ModulePlaces& after, const std::vector<RoutingStat>& stats_after);

/// Which layers show no shares of slots, to follow a picture's title: "; all are taken in layer 2: share of the output
/// norm"; empty where all do.
std::string meaning_of_shares(const std::vector<RoutingBank>& banks, Kind kind);

/// "german: attention modules".
std::string routing_title(const std::string& task, Kind kind);

}  // namespace mformer::cli
