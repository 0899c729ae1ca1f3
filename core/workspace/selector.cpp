#include "core/workspace/selector.h"

#include <algorithm>
#include <functional>
#include <map>
#include <regex>
#include <set>

#include "modules_registry/error.h"
#include "modules_registry/suggest.h"

namespace mformer {
namespace {

/// One module as the clauses see it.
struct Candidate {
  const ModuleRecord& record;
  const ManifestModule& entry;
  std::int64_t index;
};
using Clause = std::function<bool(const Candidate&)>;

[[noreturn]] void refuse(const std::string& clause, const std::string& hint = "") {
  static const std::vector<std::string> known = {
      "all",    "kind=mlp", "layer=0-3",       "index=4",          "uid=3f2a", "born=extend:de",
      "frozen", "unfrozen", "share(qa)>=0.02", "top-share(qa)=0.9"};
  throw UsageError("the selector clause '" + clause + "' can't be read",
                   hint.empty() ? suggestion_hint(clause, known, "clauses", "") : hint);
}

std::pair<std::int64_t, std::int64_t> range_of(const std::string& text, const std::string& clause) {
  std::smatch match;
  if (!std::regex_match(text, match, std::regex(R"((\d{1,9})(?:-(\d{1,9}))?)")))
    refuse(clause, "write a number or a range such as 0-3");
  const std::int64_t first = std::stoll(match[1]);
  const std::int64_t last = match[2].matched ? std::stoll(match[2]) : first;
  if (last < first) refuse(clause, "a range goes from the smaller to the larger number");
  return {first, last};
}

double number_of(const std::string& text, const std::string& clause) {
  try {
    std::size_t used = 0;
    const double value = std::stod(text, &used);
    if (used == text.size() && value >= 0.0 && value <= 1.0) return value;
  } catch (const std::exception&) {
  }
  refuse(clause, "a share is a number between 0 and 1");
}

/// Share of the top-k slots of its bank, by uid.
std::map<std::string, double> shares(const Registry& registry, const std::string& version, const std::string& task) {
  registry.task(task);  // an unknown task names its neighbours
  const auto stats = registry.routing_stats(version, task);
  if (stats.empty()) {
    throw Error("task '" + task + "' has no routing statistics for this version",
                "record them first: mformer inspect routing --task " + task);
  }
  std::map<std::pair<int, Kind>, double> totals;
  for (const RoutingStat& stat : stats) totals[{stat.layer, stat.kind}] += static_cast<double>(stat.slots);
  std::map<std::string, double> result;
  for (const RoutingStat& stat : stats) {
    const double total = totals[{stat.layer, stat.kind}];
    result[stat.module_uid] = total > 0 ? static_cast<double>(stat.slots) / total : 0.0;
  }
  return result;
}

/// The uids of the fewest most-used modules of each bank that together take `wanted` of its slots.
std::set<std::string> top_share(const Registry& registry, const std::string& version, const std::string& task,
                                double wanted) {
  const auto share = shares(registry, version, task);
  std::map<std::pair<int, Kind>, std::vector<std::pair<double, std::string>>> banks;
  for (const RoutingStat& stat : registry.routing_stats(version, task)) {
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

Clause compare(std::map<std::string, double> share, const std::string& op, double bound) {
  return [share = std::move(share), op, bound](const Candidate& c) {
    const auto found = share.find(c.record.uid);
    const double value = found == share.end() ? 0.0 : found->second;
    if (op == ">=") return value >= bound;
    if (op == "<=") return value <= bound;
    return op == ">" ? value > bound : value < bound;
  };
}

Clause by_birth(const std::string& value) {
  const auto colon = value.find(':');
  const std::string command = value.substr(0, colon), task = colon == std::string::npos ? "" : value.substr(colon + 1);
  return [command, task](const Candidate& c) {
    return c.record.born_command == command && (task.empty() || c.record.born_task == task);
  };
}

Clause parse(const Registry& registry, const std::string& version, const std::string& clause) {
  if (clause == "all") return [](const Candidate&) { return true; };
  if (clause == "frozen") return [](const Candidate& c) { return c.entry.frozen; };
  if (clause == "unfrozen") return [](const Candidate& c) { return !c.entry.frozen; };
  std::smatch match;
  if (std::regex_match(clause, match, std::regex(R"(share\(([^)]+)\)\s*(>=|<=|>|<)\s*(\S+))"))) {
    return compare(shares(registry, version, match[1]), match[2], number_of(match[3], clause));
  }
  if (std::regex_match(clause, match, std::regex(R"(top-share\(([^)]+)\)\s*=\s*(\S+))"))) {
    const auto chosen = top_share(registry, version, match[1], number_of(match[2], clause));
    return [chosen](const Candidate& c) { return chosen.count(c.record.uid) != 0; };
  }
  if (!std::regex_match(clause, match, std::regex(R"((kind|layer|index|uid|born)\s*=\s*(\S+))"))) refuse(clause);
  const std::string key = match[1], value = match[2];
  if (key == "kind") {
    if (value != "att" && value != "mlp") refuse(clause, "kinds: att, mlp");
    return [kind = kind_from_string(value)](const Candidate& c) { return c.record.kind == kind; };
  }
  if (key == "uid") return [value](const Candidate& c) { return c.record.uid.starts_with(value); };
  if (key == "born") return by_birth(value);
  const auto [first, last] = range_of(value, clause);
  if (key == "layer")
    return
        [first = first, last = last](const Candidate& c) { return c.record.layer >= first && c.record.layer <= last; };
  return [first = first, last = last](const Candidate& c) { return c.index >= first && c.index <= last; };
}

std::string trimmed(const std::string& text) {
  const auto first = text.find_first_not_of(" \t"), last = text.find_last_not_of(" \t");
  return first == std::string::npos ? "" : text.substr(first, last - first + 1);
}

}  // namespace

ModuleSelection select_modules(const Registry& registry, const std::string& version, const Manifest& manifest,
                               const std::string& selector) {
  std::vector<Clause> clauses;
  for (std::size_t begin = 0; begin <= selector.size();) {
    const std::size_t end = std::min(selector.find(',', begin), selector.size());
    const std::string clause = trimmed(selector.substr(begin, end - begin));
    if (clause.empty()) refuse(clause, "a selector is one or more clauses, for example: kind=mlp,layer=0-3");
    clauses.push_back(parse(registry, version, clause));
    begin = end + 1;
  }
  std::map<std::string, ModuleRecord> records;
  for (ModuleRecord& record : registry.modules(version)) records.emplace(record.uid, std::move(record));
  ModuleSelection selection;
  for (const LayerManifest& layer : manifest.layers) {
    for (const Kind kind : {Kind::att, Kind::mlp}) {
      std::vector<std::int64_t> positions;
      const auto& modules = layer.modules(kind);
      for (std::size_t i = 0; i < modules.size(); ++i) {
        const Candidate candidate{records.at(modules[i].uid), modules[i], static_cast<std::int64_t>(i)};
        if (std::all_of(clauses.begin(), clauses.end(), [&](const Clause& clause) { return clause(candidate); })) {
          positions.push_back(candidate.index);
        }
      }
      selection.of(kind).push_back(std::move(positions));
    }
  }
  if (count(selection) == 0)
    throw Error("the selector '" + selector + "' selects no module", "mformer inspect modules lists them all");
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
