#include "core/model/model.h"

#include <ATen/ops/tensor.h>

#include "core/model/domains.h"
#include "core/model/inference.h"
#include "modules_registry/error.h"

namespace mformer {
namespace {

using Part = ParameterRef::Part;
using Visit = std::function<void(const ParameterRef&)>;

void visit_if_defined(at::Tensor& tensor, ParameterRef ref, const Visit& visit) {
  if (!tensor.defined()) return;
  ref.tensor = &tensor;
  visit(ref);
}

void visit_affine(Affine& affine, const std::string& name, int layer, const Visit& visit) {
  visit_if_defined(affine.weight, {name + ".weight", nullptr, Part::trunk, layer}, visit);
  visit_if_defined(affine.bias, {name + ".bias", nullptr, Part::trunk, layer}, visit);
}

void visit_bank(ModuleBank& bank, const std::string& block, int layer, const Visit& visit) {
  const std::string name = block + "." + std::string(to_string(bank.kind));
  visit_if_defined(bank.router.weight, {name + ".router.weight", nullptr, Part::router, layer, bank.kind}, visit);
  visit_if_defined(bank.router.bias, {name + ".router.bias", nullptr, Part::router, layer, bank.kind}, visit);
  visit_if_defined(bank.router.temperature, {name + ".router.temperature", nullptr, Part::router, layer, bank.kind},
                   visit);
  for (std::size_t i = 0; i < bank.modules.size(); ++i) {
    Module& module = bank.modules[i];
    const auto index = static_cast<std::int64_t>(i);
    const std::string prefix = name + "." + std::to_string(i);
    visit_if_defined(module.in, {prefix + ".in", nullptr, Part::module, layer, bank.kind, index}, visit);
    visit_if_defined(module.out, {prefix + ".out", nullptr, Part::module, layer, bank.kind, index}, visit);
    visit({prefix + ".row", &module.row, Part::module, layer, bank.kind, index});
    visit_if_defined(module.in_scale, {prefix + ".in_scale", nullptr, Part::module, layer, bank.kind, index, true},
                     visit);
    visit_if_defined(module.out_scale, {prefix + ".out_scale", nullptr, Part::module, layer, bank.kind, index, true},
                     visit);
  }
}

}  // namespace

void for_each_parameter(Model& model, const Visit& visit) {
  visit({"wte", &model.wte, Part::trunk});
  for (std::size_t l = 0; l < model.blocks.size(); ++l) {
    Block& block = model.blocks[l];
    const int layer = static_cast<int>(l);
    const std::string name = "h." + std::to_string(l);
    visit_affine(block.ln_1, name + ".ln_1", layer, visit);
    visit_affine(block.k_proj, name + ".k_proj", layer, visit);
    visit_affine(block.v_proj, name + ".v_proj", layer, visit);
    visit_bank(block.att, name, layer, visit);
    visit_affine(block.ln_2, name + ".ln_2", layer, visit);
    visit_bank(block.mlp, name, layer, visit);
  }
  visit_affine(model.ln_f, "ln_f", -1, visit);
  if (!model.config.tie_word_embeddings) visit_if_defined(model.lm_head, {"lm_head", nullptr, Part::trunk}, visit);
  for (Domain& domain : model.domains) {
    for (PrivatePart& part : domain.parts) {
      visit({"domain " + domain.name + "/" + part.name, &part.value, Part::domain});
    }
  }
}

std::vector<ParameterRef> parameters(Model& model) {
  std::vector<ParameterRef> all;
  for_each_parameter(model, [&](const ParameterRef& ref) { all.push_back(ref); });
  return all;
}

ModelSize size_of(const Model& model) {
  ModelSize size;
  Model handles = model;
  for_each_parameter(handles, [&](const ParameterRef& ref) {
    size.weights += ref.scale ? 0 : ref.tensor->numel();
    size.bytes += static_cast<std::int64_t>(ref.tensor->nbytes());
  });
  if (model.prepared != nullptr) {
    for_each_packed(*model.prepared, [&](const kernels::PackedWeight& weight) {
      size.weights += weight.in * weight.out;
      size.bytes += weight.bytes();
    });
  }
  return size;
}

Model clone(const Model& model) {
  Model copy = model;
  for_each_parameter(copy, [](const ParameterRef& ref) { *ref.tensor = ref.tensor->detach().clone(); });
  if (copy.config.tie_word_embeddings) copy.lm_head = copy.wte;
  return copy;
}

void convert(Model& model, at::ScalarType dtype) {
  for_each_parameter(model, [&](const ParameterRef& ref) {
    if (!ref.scale && ref.tensor->is_floating_point()) *ref.tensor = ref.tensor->detach().to(dtype);
  });
  if (model.config.tie_word_embeddings) model.lm_head = model.wte;
}

void count_modules(Model& model) {
  std::vector<std::int64_t> att, mlp;
  for (const Block& block : model.blocks) {
    att.push_back(static_cast<std::int64_t>(block.att.modules.size()));
    mlp.push_back(static_cast<std::int64_t>(block.mlp.modules.size()));
  }
  model.config.set_expert_counts(att, mlp);
}

ModuleSelection all_modules(const Model& model) {
  return modules_where(model, [](const Module&) { return true; });
}

namespace {

/// Of the rows that each domain keeps for this bank's base modules, those of the modules that stay.
void select_private_rows(Model& model, const std::string& bank_name, const ModuleBank& from,
                         const std::vector<std::int64_t>& positions) {
  for (Domain& domain : model.domains) {
    std::vector<std::int64_t> number(from.modules.size(), -1), kept;  // of each module among those with such a row
    std::int64_t count = 0;
    for (std::size_t i = 0; i < from.modules.size(); ++i) {
      if (is_base_module_of(from.modules[i], domain)) number[i] = count++;
    }
    for (const std::int64_t position : positions) {
      if (number.at(position) >= 0) kept.push_back(number[position]);
    }
    if (static_cast<std::int64_t>(kept.size()) == count) continue;
    for (PrivatePart& part : domain.parts) {
      if (part.name == bank_name + ".rows") {
        part.value = part.value.index_select(0, at::tensor(kept, at::kLong).to(part.value.device()));
      }
    }
  }
}

}  // namespace

Model select(const Model& model, const ModuleSelection& keep) {
  if (model.prepared != nullptr) throw Error("no modules can be selected from a model prepared for inference");
  Model selected = model;
  for (std::size_t l = 0; l < model.blocks.size(); ++l) {
    for (const Kind kind : {Kind::att, Kind::mlp}) {
      const ModuleBank& from = model.blocks[l].bank(kind);
      ModuleBank& to = selected.blocks[l].bank(kind);
      const auto& positions = keep.of(kind).at(l);
      if (static_cast<std::int64_t>(positions.size()) < from.k) {
        throw Error("layer " + std::to_string(l) + " would keep " + std::to_string(positions.size()) + " " +
                        std::string(to_string(kind)) + " modules, but each token uses " + std::to_string(from.k),
                    "keep at least k modules of each kind in every layer");
      }
      select_private_rows(selected, "h." + std::to_string(l) + "." + std::string(to_string(kind)), from, positions);
      to.modules.clear();
      for (const std::int64_t position : positions) to.modules.push_back(from.modules.at(position));
    }
  }
  count_modules(selected);
  return selected;
}

}  // namespace mformer
