#include "core/workflows/routing_shift.h"

#include <map>

#include "core/workspace/module_share.h"
#include "modules_registry/error.h"

namespace mformer {
namespace {

using BankParts = std::map<std::pair<int, Kind>, std::map<std::string, double>>;  // shares by uid

BankParts parts_of(const std::vector<RoutingStat>& stats) {
  const std::vector<ModuleShare> shares = module_shares(stats);
  BankParts banks;
  for (std::size_t i = 0; i < stats.size(); ++i) {
    banks[{stats[i].layer, stats[i].kind}][stats[i].module_uid] = shares[i].value;
  }
  return banks;
}

double share_of_new(const std::map<std::string, double>& before, const std::map<std::string, double>& after) {
  double sum = 0;
  for (const auto& [uid, share] : after) sum += before.contains(uid) ? 0.0 : share;
  return sum;
}

RoutingShift shift_of(const TaskRouting& before, const TaskRouting& after) {
  RoutingShift shift{before.task,
                     {},
                     0,
                     0,
                     before.stats.empty() ? 0 : before.stats.front().tokens,
                     after.stats.empty() ? 0 : after.stats.front().tokens};
  const BankParts old = parts_of(before.stats), now = parts_of(after.stats);
  for (const auto& [bank, shares] : old) {
    const auto found = now.find(bank);
    if (found == now.end()) continue;
    BankShift row{bank.first, bank.second, jensen_shannon(shares, found->second), share_of_new(shares, found->second)};
    shift.divergence += row.divergence;
    shift.leak += row.leak;
    shift.banks.push_back(row);
  }
  if (shift.banks.empty()) {
    throw Error("the versions have no layer with modules in common: their routing can't be compared",
                "leave --task out to compare the rest");
  }
  shift.divergence /= static_cast<double>(shift.banks.size());
  shift.leak /= static_cast<double>(shift.banks.size());
  return shift;
}

}  // namespace

std::vector<RoutingShift> routing_shifts(const std::vector<TaskRouting>& before,
                                         const std::vector<TaskRouting>& after) {
  std::vector<RoutingShift> shifts;
  for (std::size_t i = 0; i < before.size(); ++i) shifts.push_back(shift_of(before[i], after.at(i)));
  return shifts;
}

}  // namespace mformer
