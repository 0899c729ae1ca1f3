#include "core/workspace/module_share.h"

#include <map>
#include <utility>

namespace mformer {
namespace {

/// Sums over one bank.
struct BankWork {
  double slots = 0, norms = 0, tokens = 0;
  bool gates_are_one = true, all_in_every_token = true;

  void add(const RoutingStat& stat) {
    const auto taken = static_cast<double>(stat.slots);
    slots += taken;
    norms += stat.weighted_output_norm;
    tokens = static_cast<double>(stat.tokens);
    gates_are_one = gates_are_one && stat.gate_mass == taken;
    all_in_every_token = all_in_every_token && stat.slots == stat.tokens;
  }

  bool takes_all() const { return norms > 0 && (all_in_every_token || (gates_are_one && slots > tokens)); }
};

}  // namespace

std::vector<ModuleShare> module_shares(const std::vector<RoutingStat>& stats) {
  std::map<std::pair<int, Kind>, BankWork> banks;
  for (const RoutingStat& stat : stats) banks[{stat.layer, stat.kind}].add(stat);
  std::vector<ModuleShare> shares;
  for (const RoutingStat& stat : stats) {
    const BankWork& bank = banks.at({stat.layer, stat.kind});
    const bool of_norm = bank.takes_all();
    const double part = of_norm ? stat.weighted_output_norm : static_cast<double>(stat.slots);
    const double whole = of_norm ? bank.norms : bank.slots;
    shares.push_back({whole > 0 ? part / whole : 0.0, of_norm});
  }
  return shares;
}

}  // namespace mformer
