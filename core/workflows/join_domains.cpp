#include "core/workflows/join_domains.h"

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

}  // namespace

bool same_tensor(const at::Tensor& a, const at::Tensor& b) {
  return a.defined() == b.defined() && (!a.defined() || a.equal(b));
}

Model with_domains_renamed(Model model, const std::map<std::string, std::string>& rename) {
  for (const auto& [name, now] : rename) {
    if (find_domain(model, name) != nullptr) continue;
    throw UsageError("the second branch has no domain '" + name + "' to rename",
                     suggestion_hint(name, hypotheses(model), "hypotheses", ""));
  }
  for (const auto& [name, now] : rename) {
    if (find_domain(model, now) == nullptr) continue;
    throw UsageError("the second branch has a domain '" + now + "' already", "choose another name for '" + name + "'");
  }
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

std::vector<Domain> domains_to_add(const Model& a, const Model& b, const std::string& name_of_b) {
  std::vector<Domain> added;
  for (const Domain& domain : b.domains) {
    const Domain* there = find_domain(a, domain.name);
    if (there == nullptr && domain.name != kBaseHypothesis) {
      added.push_back(domain);
    } else if (there == nullptr || !same_domain(a, b, *there, domain)) {
      throw UsageError(
          "both branches have a domain '" + domain.name + "'",
          "give that of " + name_of_b + " another name: --rename " + domain.name + "=" + domain.name + "-2");
    }
  }
  return added;
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
