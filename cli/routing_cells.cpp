#include "cli/routing_cells.h"

#include "cli/describe.h"
#include "core/workspace/module_share.h"

namespace mformer::cli {
namespace {

/// The nth extension's mark: a, b, … z, then * for all others.
char mark_of(std::size_t extension) {
  return extension < 26 ? static_cast<char>('a' + extension) : '*';
}

/// The bank of this layer and kind, at its place.
RoutingBank& bank_of(std::map<std::pair<int, Kind>, RoutingBank>& banks, const RoutingStat& stat) {
  RoutingBank& bank = banks[{stat.layer, stat.kind}];
  bank.layer = stat.layer, bank.kind = stat.kind;
  return bank;
}

std::vector<RoutingBank> in_order(std::map<std::pair<int, Kind>, RoutingBank> banks) {
  std::vector<RoutingBank> all;
  for (auto& [key, bank] : banks) all.push_back(std::move(bank));
  return all;
}

}  // namespace

ModulePlaces::ModulePlaces(const Registry& registry, const std::string& version) {
  std::map<std::string, char> marks;
  std::map<std::pair<int, Kind>, std::int64_t> next_index;
  for (const ModuleRecord& module : registry.modules(version)) {
    ModulePlace place{next_index[{module.layer, module.kind}]++, birth_name(module), ' '};
    if (module.born_command == "extend") {
      place.mark = marks.try_emplace(place.birth, mark_of(marks.size())).first->second;
      births_by_mark_[place.mark] = place.mark == '*' ? "later extensions" : place.birth;
    }
    places_.emplace(module.uid, place);
  }
}

std::string ModulePlaces::marks_meaning() const {
  std::string text;
  for (const auto& [mark, birth] : births_by_mark_) {
    text += (text.empty() ? "" : ", ") + std::string(1, mark) + " born by " + birth;
  }
  return text;
}

std::vector<RoutingBank> routing_banks(const ModulePlaces& places, const std::vector<RoutingStat>& stats) {
  const std::vector<ModuleShare> shares = module_shares(stats);
  std::map<std::pair<int, Kind>, RoutingBank> banks;
  for (std::size_t i = 0; i < stats.size(); ++i) {
    RoutingBank& bank = bank_of(banks, stats[i]);
    const ModulePlace& place = places.at(stats[i].module_uid);
    bank.of_norm = bank.of_norm || shares[i].of_norm;
    bank.cells.push_back({stats[i].module_uid, place.birth, place.mark, shares[i].value, std::nullopt, place.index});
  }
  return in_order(std::move(banks));
}

std::vector<RoutingBank> routing_banks(const ModulePlaces& before, const std::vector<RoutingStat>& stats_before,
                                       const ModulePlaces& after, const std::vector<RoutingStat>& stats_after) {
  std::map<std::pair<int, Kind>, RoutingBank> banks;
  std::map<std::string, double> shares_after;
  const std::vector<ModuleShare> of_before = module_shares(stats_before), of_after = module_shares(stats_after);
  for (std::size_t i = 0; i < stats_after.size(); ++i) shares_after[stats_after[i].module_uid] = of_after[i].value;
  for (std::size_t i = 0; i < stats_before.size(); ++i) {
    const std::string& uid = stats_before[i].module_uid;
    RoutingBank& bank = bank_of(banks, stats_before[i]);
    bank.of_norm = bank.of_norm || of_before[i].of_norm;
    RoutingCell cell{uid, before.at(uid).birth, 'x', std::nullopt, of_before[i].value, before.at(uid).index};
    if (const auto found = shares_after.find(uid); found != shares_after.end()) {
      cell.mark = ' ', cell.share = found->second, cell.index = after.at(uid).index;
    }
    bank.cells.push_back(std::move(cell));
  }
  for (std::size_t i = 0; i < stats_after.size(); ++i) {
    RoutingBank& bank = bank_of(banks, stats_after[i]);
    bank.of_norm = bank.of_norm || of_after[i].of_norm;
    const std::string& uid = stats_after[i].module_uid;
    if (before.has(uid)) continue;
    bank.cells.push_back({uid, after.at(uid).birth, '+', of_after[i].value, std::nullopt, after.at(uid).index});
  }
  return in_order(std::move(banks));
}

std::string meaning_of_shares(const std::vector<RoutingBank>& banks, Kind kind) {
  std::string layers;
  std::size_t count = 0, all = 0;
  for (const RoutingBank& bank : banks) {
    if (bank.kind != kind) continue;
    ++all;
    if (!bank.of_norm) continue;
    layers += (layers.empty() ? "" : ", ") + std::to_string(bank.layer);
    ++count;
  }
  if (count == 0) return "";
  const std::string where = count == all ? "" : (count == 1 ? " in layer " : " in layers ") + layers;
  return "; all are taken" + where + ": share of the output norm";
}

std::string routing_title(const std::string& task, Kind kind) {
  return task + (kind == Kind::att ? ": attention modules" : ": feed-forward modules");
}

}  // namespace mformer::cli
