#include "core/surgery/extension_budget.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <sstream>
#include <string>

#include "modules_registry/error.h"

namespace mformer {
namespace {

std::string number(double share) {
  std::ostringstream text;
  text << share;
  return text.str();
}

/// With three decimals, not less than it is.
std::string rounded_up(double share) {
  return number(std::ceil(share * 1000) / 1000);
}

}  // namespace

bool BudgetUse::exceeded() const {
  return added > allowed * (1 + 1e-12);
}

void BudgetUse::correct(std::int64_t added_weights, std::int64_t base_weights) {
  const double modules = added - private_parts;
  added = static_cast<double>(added_weights) / static_cast<double>(base_weights);
  private_parts = added - modules;
}

void BudgetUse::require_kept() const {
  if (!exceeded()) return;
  std::string sentence = "--budget " + number(allowed) + " is too little: at least " + rounded_up(added) +
                         " of the base's parameters would be added";
  if (private_parts > 0) {
    sentence +=
        ", " + rounded_up(private_parts) + " of them what a domain has for itself (routers, norms, rows of its tokens)";
  }
  throw UsageError(sentence, "give --budget " + rounded_up(added) +
                                 " or more, or in its place how many modules a layer gets: --experts 1 --heads 1");
}

std::int64_t share_of(double share, std::int64_t weights) {
  const double product = share * static_cast<double>(weights);
  if (product > static_cast<double>(std::numeric_limits<std::int64_t>::max()) / 2)
    return std::numeric_limits<std::int64_t>::max() / 2;
  return static_cast<std::int64_t>(std::floor(product * (1 + 1e-12)));
}

}  // namespace mformer
