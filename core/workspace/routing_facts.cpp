#include "core/workspace/routing_facts.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "core/workspace/module_share.h"

namespace mformer {
namespace {

using BankKey = std::pair<int, Kind>;
using BankShares = std::map<BankKey, std::map<std::string, double>>;

BankShares shares(const std::vector<RoutingStat>& stats) {
  const std::vector<ModuleShare> each = module_shares(stats);
  BankShares banks;
  for (std::size_t i = 0; i < stats.size(); ++i) {
    banks[{stats[i].layer, stats[i].kind}][stats[i].module_uid] = each[i].value;
  }
  return banks;
}

/// p · log2(p / m), its limit 0 at p = 0.
double term(double p, double m) {
  return p > 0 ? p * std::log2(p / m) : 0.0;
}

}  // namespace

std::vector<LeakRow> router_leak(const std::vector<RoutingStat>& stats, const std::set<std::string>& later) {
  std::map<BankKey, std::pair<double, double>> leaked_of_all;
  for (const RoutingStat& stat : stats) {
    auto& [leaked, all] = leaked_of_all[{stat.layer, stat.kind}];
    all += static_cast<double>(stat.slots);
    if (later.count(stat.module_uid) != 0) leaked += static_cast<double>(stat.slots);
  }
  std::vector<LeakRow> rows;
  rows.reserve(leaked_of_all.size());
  for (const auto& [key, sums] : leaked_of_all) {
    rows.push_back({key.first, key.second, sums.second > 0 ? sums.first / sums.second : 0.0});
  }
  return rows;
}

double mean_leak(const std::vector<LeakRow>& leak) {
  double sum = 0;
  for (const LeakRow& row : leak) sum += row.share;
  return leak.empty() ? 0.0 : sum / static_cast<double>(leak.size());
}

double ninety_percent_share(const std::vector<RoutingStat>& stats) {
  double sum = 0;
  const BankShares banks = shares(stats);
  for (const auto& [bank, of_module] : banks) {
    std::vector<double> largest;
    for (const auto& [uid, share] : of_module) largest.push_back(share);
    std::sort(largest.rbegin(), largest.rend());
    double covered = 0;
    std::size_t needed = 0;
    while (needed < largest.size() && largest[needed] > 0 && covered < 0.9 - 1e-12) covered += largest[needed++];
    sum += static_cast<double>(needed) / static_cast<double>(largest.size());
  }
  return banks.empty() ? 0.0 : sum / static_cast<double>(banks.size());
}

double jensen_shannon(const std::map<std::string, double>& p, const std::map<std::string, double>& q) {
  double sum = 0;
  const auto add = [&sum](double a, double b) {
    const double middle = 0.5 * (a + b);
    sum += 0.5 * (term(a, middle) + term(b, middle));
  };
  for (const auto& [uid, share] : p) {
    const auto found = q.find(uid);
    add(share, found == q.end() ? 0.0 : found->second);
  }
  for (const auto& [uid, share] : q) {
    if (!p.contains(uid)) add(0.0, share);
  }
  return sum;
}

double routing_divergence(const std::vector<RoutingStat>& a, const std::vector<RoutingStat>& b) {
  const BankShares left = shares(a), right = shares(b);
  double sum = 0;
  for (const auto& [bank, p] : left) sum += jensen_shannon(p, right.at(bank));
  return left.empty() ? 0.0 : sum / static_cast<double>(left.size());
}

}  // namespace mformer
