#include "core/model/domains.h"

#include <ATen/ops/stack.h>

#include <algorithm>
#include <map>

#include "core/formats/parameter_names.h"
#include "modules_registry/error.h"
#include "modules_registry/suggest.h"

namespace mformer {
namespace {

/// `part` in the place of what the view has; `whole` by ParameterRef::name.
void put_in_place(const PrivatePart& part, const std::map<std::string, at::Tensor*>& whole) {
  const auto found = whole.find(part.name);
  if (found == whole.end()) throw Error("the private part '" + part.name + "' has no place in the model");
  at::Tensor& place = *found->second;
  place = part.rows.defined() ? place.index_copy(0, part.rows, part.value.to(place.scalar_type())) : part.value;
}

void apply_rows(const at::Tensor& rows, const std::string& name, const Domain& domain, ModuleBank& bank) {
  std::int64_t next = 0;
  for (Module& module : bank.modules) {
    if (!is_base_module_of(module, domain)) continue;
    if (next == rows.size(0)) throw Error("the private part '" + name + "' lacks rows", "mformer fsck says more");
    module.row = rows.select(0, next++);
  }
}

void apply_parts(Model& view, const Domain& domain) {
  std::map<std::string, at::Tensor*> whole;
  for_each_parameter(view, [&](const ParameterRef& ref) { whole[ref.name] = ref.tensor; });
  for (const PrivatePart& part : domain.parts) {
    if (!part.name.ends_with(".rows")) put_in_place(part, whole);
  }
  for (std::size_t l = 0; l < view.blocks.size(); ++l) {
    for (const Kind kind : {Kind::att, Kind::mlp}) {
      const std::string name = names::bank_rows(static_cast<std::int64_t>(l), kind);
      for (const PrivatePart& part : domain.parts) {
        if (part.name == name) apply_rows(part.value, name, domain, view.blocks[l].bank(kind));
      }
    }
  }
  if (view.config.tie_word_embeddings) view.lm_head = view.wte;
}

at::Tensor rows_of(const ModuleBank& bank, std::size_t count) {
  std::vector<at::Tensor> rows;
  for (std::size_t i = 0; i < count; ++i) rows.push_back(bank.modules.at(i).row.detach());
  return at::stack(rows);
}

/// The rows in which two matrices differ, int64.
at::Tensor differing_rows(const at::Tensor& a, const at::Tensor& b) {
  return a.ne(b).flatten(1).any(1).nonzero().squeeze(1);
}

}  // namespace

std::vector<std::string> hypotheses(const Model& model) {
  std::vector<std::string> names = {kBaseHypothesis};
  for (const Domain& domain : model.domains) names.push_back(domain.name);
  return names;
}

const Domain* find_domain(const Model& model, const std::string& name) {
  const auto found =
      std::find_if(model.domains.begin(), model.domains.end(), [&](const Domain& d) { return d.name == name; });
  return found == model.domains.end() ? nullptr : &*found;
}

bool is_base_module_of(const Module& module, const Domain& domain) {
  return module.domain.empty() && !domain.alone &&
         std::find(module.hidden_from.begin(), module.hidden_from.end(), domain.name) == module.hidden_from.end();
}

Model view_of(const Model& model, const std::string& hypothesis) {
  const Domain* domain = find_domain(model, hypothesis);
  if (domain == nullptr && hypothesis != kBaseHypothesis) {
    throw UsageError("the model has no domain '" + hypothesis + "'",
                     suggestion_hint(hypothesis, hypotheses(model), "hypotheses", ""));
  }
  if (model.domains.empty()) return model;
  Model all = model;
  all.domains.clear();
  Model view = select(all, modules_where(model, [&](const Module& module) {
                        if (domain == nullptr) return module.domain.empty();
                        return module.domain == domain->name || is_base_module_of(module, *domain);
                      }));
  if (domain != nullptr) apply_parts(view, *domain);
  for_each_module(view, [](Module& module) { module.domain.clear(), module.hidden_from.clear(); });
  return view;
}

std::vector<Model> views_of(const Model& model) {
  std::vector<Model> views;
  for (const std::string& name : hypotheses(model)) views.push_back(view_of(model, name));
  return views;
}

std::vector<PrivatePart> private_parts(const Model& base, const Model& tuned, bool alone) {
  Model before = base, after = tuned;
  std::map<std::string, at::Tensor> old;
  for_each_parameter(before, [&](const ParameterRef& ref) { old[ref.name] = *ref.tensor; });
  std::vector<PrivatePart> parts;
  for_each_parameter(after, [&](const ParameterRef& ref) {
    if (ref.part == ParameterRef::Part::module) return;
    const at::Tensor& was = old.at(ref.name);
    const at::Tensor now = ref.tensor->detach();
    if (now.equal(was)) return;
    if (ref.is_vocabulary()) {
      const at::Tensor rows = differing_rows(now, was);
      parts.push_back({ref.name, rows, now.index_select(0, rows)});
    } else {
      parts.push_back({ref.name, {}, now});
    }
  });
  for (std::size_t l = 0; !alone && l < before.blocks.size(); ++l) {
    for (const Kind kind : {Kind::att, Kind::mlp}) {
      const std::size_t count = before.blocks[l].bank(kind).modules.size();
      // All may have copies in their places, or no router.
      if (count == 0 || !before.blocks[l].bank(kind).routed) continue;
      const at::Tensor now = rows_of(after.blocks[l].bank(kind), count);
      if (now.equal(rows_of(before.blocks[l].bank(kind), count))) continue;
      parts.push_back({names::bank_rows(static_cast<std::int64_t>(l), kind), {}, now});
    }
  }
  return parts;
}

Model without_domain(const Model& model, const std::string& name) {
  if (find_domain(model, name) == nullptr) view_of(model, name);  // throws with the names there are
  Model all = model;
  std::erase_if(all.domains, [&](const Domain& domain) { return domain.name == name; });
  Model rest = select(all, modules_where(model, [&](const Module& module) { return module.domain != name; }));
  for_each_module(rest, [&](Module& module) { std::erase(module.hidden_from, name); });
  return rest;
}

}  // namespace mformer
