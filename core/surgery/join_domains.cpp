#include "core/surgery/join_domains.h"

#include <algorithm>
#include <set>

#include "core/model/domains.h"
#include "modules_registry/error.h"
#include "modules_registry/suggest.h"

namespace mformer {
namespace {

std::set<std::string> modules_of(Model model, const std::string& domain) {
  std::set<std::string> uids;
  for_each_module(model, [&](const Module& module) {
    if (module.domain == domain) uids.insert(module.uid);
  });
  return uids;
}

bool same_domain(const Model& a, const Model& b, const Domain& of_a, const Domain& of_b) {
  const auto same_part = [](const PrivatePart& x, const PrivatePart& y) {
    return x.name == y.name && same_tensor(x.rows, y.rows) && same_tensor(x.value, y.value);
  };
  return of_a.alone == of_b.alone && modules_of(a, of_a.name) == modules_of(b, of_b.name) &&
         std::equal(of_a.parts.begin(), of_a.parts.end(), of_b.parts.begin(), of_b.parts.end(), same_part);
}

std::vector<std::string> names_beyond(const Model& model, const Model& other) {
  std::vector<std::string> names;
  for (const Domain& domain : model.domains) {
    if (find_domain(other, domain.name) == nullptr) names.push_back(domain.name);
  }
  return names;
}

void hide(Module& module, const std::vector<std::string>& domains) {
  for (const std::string& name : domains) {
    auto& hidden = module.hidden_from;
    if (std::find(hidden.begin(), hidden.end(), name) == hidden.end()) hidden.push_back(name);
  }
}

/// Throws UsageError unless each name is there and each new one free, also of the others.
void require_renames(const Model& model, const std::map<std::string, std::string>& rename) {
  std::vector<std::string> names;
  for (const Domain& domain : model.domains) names.push_back(domain.name);
  std::map<std::string, std::string> origin;  // by the new name
  for (const auto& [name, now] : rename) {
    if (find_domain(model, name) == nullptr) {
      throw UsageError("the second branch has no domain '" + name + "' to rename",
                       suggestion_hint(name, names, "domains", "it has none: leave --rename out"));
    }
    if (now == kBaseHypothesis) {
      throw UsageError("'" + now + "' is what belongs to no domain", "choose another name for '" + name + "'");
    }
    if (find_domain(model, now) != nullptr) {
      throw UsageError("the second branch has a domain '" + now + "' already",
                       "choose another name for '" + name + "'");
    }
    const auto [other, fresh] = origin.emplace(now, name);
    if (fresh) continue;
    throw UsageError("the domains '" + other->second + "' and '" + name + "' can't both become '" + now + "'",
                     "choose another name for one of them");
  }
}

/// "german-2", or with the next number that neither model has.
std::string free_name(const Model& a, const Model& b, const std::string& name) {
  for (int number = 2;; ++number) {
    const std::string wanted = name + "-" + std::to_string(number);
    if (find_domain(a, wanted) == nullptr && find_domain(b, wanted) == nullptr) return wanted;
  }
}

/// Throws UsageError for a module that both models have in domains of different names: with another name its domain
/// would come again, without modules.
void require_same_owners(const Model& a, const Model& b, const std::string& name_of_b,
                         const std::map<std::string, std::string>& rename) {
  std::map<std::string, std::string> owner;
  Model of_a = a, of_b = b;
  for_each_module(of_a, [&](const Module& module) { owner[module.uid] = module.domain; });
  for_each_module(of_b, [&](const Module& module) {
    const auto there = owner.find(module.uid);
    if (there == owner.end() || there->second == module.domain) return;
    std::string old = module.domain;
    for (const auto& [name, now] : rename) old = now == module.domain ? name : old;
    const bool renamed = old == there->second;
    throw UsageError("the domain '" + old + "' of " + name_of_b + " is there already, as '" + there->second +
                         "', with the same modules",
                     renamed ? "a merge keeps it once: leave --rename " + old + "=" + module.domain + " out"
                             : "say that it is the same: --rename " + old + "=" + there->second);
  });
}

}  // namespace

bool same_tensor(const at::Tensor& a, const at::Tensor& b) {
  return a.defined() == b.defined() && (!a.defined() || a.equal(b));
}

Model with_domains_renamed(Model model, const std::map<std::string, std::string>& rename) {
  require_renames(model, rename);
  const auto apply = [&](std::string& name) {
    if (const auto found = rename.find(name); found != rename.end()) name = found->second;
  };
  for (Domain& domain : model.domains) apply(domain.name);
  for_each_module(model, [&](Module& module) {
    apply(module.domain);
    for (std::string& name : module.hidden_from) apply(name);
  });
  return model;
}

std::vector<Domain> domains_to_add(const Model& a, const Model& b, const std::string& name_of_b,
                                   const std::map<std::string, std::string>& rename) {
  require_same_owners(a, b, name_of_b, rename);
  std::vector<Domain> added;
  for (const Domain& domain : b.domains) {
    const Domain* there = find_domain(a, domain.name);
    if (there == nullptr && domain.name != kBaseHypothesis) {
      added.push_back(domain);
    } else if (there == nullptr || !same_domain(a, b, *there, domain)) {
      throw UsageError(
          "both branches have a domain '" + domain.name + "'",
          "give that of " + name_of_b + " another name: --rename " + domain.name + "=" + free_name(a, b, domain.name));
    }
  }
  return added;
}

void join_frozen_flags(Model& joined, const Model& ancestor, const Model& a, const Model& b) {
  const auto flags_of = [](Model model) {
    std::map<std::string, bool> flags;
    for_each_module(model, [&](const Module& module) { flags[module.uid] = module.frozen; });
    return flags;
  };
  const auto old = flags_of(ancestor), of_a = flags_of(a), of_b = flags_of(b);
  for_each_module(joined, [&](Module& module) {
    const auto in_a = of_a.find(module.uid), in_b = of_b.find(module.uid), before = old.find(module.uid);
    if (in_a == of_a.end() || in_b == of_b.end()) return;  // one branch alone has it, and says
    if (before == old.end()) {
      module.frozen = in_a->second || in_b->second;
    } else {
      module.frozen = in_a->second != before->second ? in_a->second : in_b->second;
    }
  });
}

void hide_from_domains(Model& joined, const Model& a, const Model& b) {
  std::map<std::string, Module> of_a, of_b;
  Model handles_a = a, handles_b = b;
  for_each_module(handles_a, [&](const Module& module) { of_a.emplace(module.uid, module); });
  for_each_module(handles_b, [&](const Module& module) { of_b.emplace(module.uid, module); });
  const auto only_a = names_beyond(a, b), only_b = names_beyond(b, a);
  for_each_module(joined, [&](Module& module) {
    if (!module.domain.empty()) return;
    const auto in_a = of_a.find(module.uid), in_b = of_b.find(module.uid);
    if (in_a == of_a.end()) hide(module, only_a);
    if (in_b == of_b.end()) hide(module, only_b);
    if (in_a != of_a.end()) hide(module, in_a->second.hidden_from);
    if (in_b != of_b.end()) hide(module, in_b->second.hidden_from);
  });
}

}  // namespace mformer
