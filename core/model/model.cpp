#include "core/model/model.h"

#include <ATen/ops/tensor.h>

#include <map>

#include "core/formats/parameter_names.h"
#include "core/model/domains.h"
#include "kernels/quantised_blocks.h"
#include "modules_registry/error.h"

namespace mformer {
namespace {

using Part = ParameterRef::Part;
using Visit = std::function<void(const ParameterRef&)>;

using Role = ParameterRole;

/// The parameters of one layer, or of none.
class Visitor {
 public:
  Visitor(const Visit& visit, int layer) : visit_(visit), layer_(layer) {}

  void trunk(const std::string& name, at::Tensor& tensor, Role role) const {
    if (tensor.defined()) visit_({name, &tensor, Part::trunk, role, layer_});
  }

  void affine(const std::string& name, Affine& affine, Role weight, Role bias) const {
    trunk(name + ".weight", affine.weight, weight);
    trunk(name + ".bias", affine.bias, bias);
  }

  void norm(const std::string& name, Affine& affine) const { this->affine(name, affine, Role::norm, Role::norm); }

  void bank(ModuleBank& bank) const {
    const std::string router = names::bank(layer_, bank.kind) + ".router";
    of_bank(router + ".weight", bank.router.weight, Role::router_weight, bank.kind);
    of_bank(router + ".bias", bank.router.bias, Role::router_bias, bank.kind);
    of_bank(router + ".temperature", bank.router.temperature, Role::temperature, bank.kind);
    for (std::int64_t i = 0; i < bank.size(); ++i) module(bank.modules[i], bank.kind, i);
  }

  void block(Block& block) const {
    const std::string name = names::layer(layer_);
    norm(name + ".ln_1", block.ln_1);
    affine(name + ".k_proj", block.k_proj, Role::projection, Role::bias);
    affine(name + ".v_proj", block.v_proj, Role::projection, Role::bias);
    trunk(name + ".q_norm", block.q_norm, Role::norm);
    trunk(name + ".k_norm", block.k_norm, Role::norm);
    bank(block.att);
    trunk(name + ".att_bias", block.att_bias, Role::bias);
    norm(name + ".ln_2", block.ln_2);
    bank(block.mlp);
    trunk(name + ".mlp_bias", block.mlp_bias, Role::bias);
    trunk(name + ".shared.in", block.shared.in, Role::shared_map);
    trunk(name + ".shared.out", block.shared.out, Role::shared_map);
    trunk(name + ".shared.gate", block.shared.gate, Role::router_weight);
  }

 private:
  void of_bank(const std::string& name, at::Tensor& tensor, Role role, Kind kind) const {
    if (tensor.defined()) visit_({name, &tensor, Part::router, role, layer_, kind});
  }

  void module(Module& module, Kind kind, std::int64_t index) const {
    const std::string prefix = names::module(layer_, kind, index);
    const std::pair<std::pair<const char*, at::Tensor*>, Role> all[] = {
        {{".in", &module.in}, Role::map_in},
        {{".out", &module.out}, Role::map_out},
        {{".row", &module.row}, Role::row},
        {{".in_bias", &module.in_bias}, Role::module_bias},
        {{".head_norm", &module.head_norm}, Role::head_norm},
        {{".in_scale", &module.in_scale}, Role::scale},
        {{".out_scale", &module.out_scale}, Role::scale}};
    for (const auto& [named, role] : all) {
      if (named.second->defined())
        visit_({prefix + named.first, named.second, Part::module, role, layer_, kind, index});
    }
  }

  const Visit& visit_;
  int layer_;
};

/// A private part has the role of what it stands in the place of; the rows of a bank are one part together.
void visit_private_parts(Model& model, const Visit& visit) {
  Model base = model;
  base.domains.clear();
  std::map<std::string, Role> roles;
  for_each_parameter(base, [&](const ParameterRef& ref) { roles[ref.name] = ref.role; });
  for (Domain& domain : model.domains) {
    for (PrivatePart& part : domain.parts) {
      const auto place = roles.find(part.name);
      const Role role = place == roles.end() ? Role::row : place->second;
      visit({"domain " + domain.name + "/" + part.name, &part.value, Part::domain, role});
    }
  }
}

}  // namespace

void for_each_parameter(Model& model, const Visit& visit) {
  const Visitor outside(visit, -1);
  outside.trunk(std::string(names::kEmbedding), model.wte, Role::embedding);
  for (std::size_t l = 0; l < model.blocks.size(); ++l) Visitor(visit, static_cast<int>(l)).block(model.blocks[l]);
  outside.norm(std::string(names::kFinalNorm), model.ln_f);
  if (!model.config.tie_word_embeddings) outside.trunk(std::string(names::kHead), model.lm_head, Role::head);
  if (!model.domains.empty()) visit_private_parts(model, visit);
}

std::vector<ParameterRef> parameters(Model& model) {
  std::vector<ParameterRef> all;
  for_each_parameter(model, [&](const ParameterRef& ref) { all.push_back(ref); });
  return all;
}

namespace {

/// Blocks have as many weights as the matrix that they stand for.
std::int64_t weights_in(const at::Tensor& tensor, const ModelConfig& config, const ParameterRef& ref) {
  if (!kernels::is_blocks(tensor)) return tensor.numel();
  const bool by_hidden = ref.role == Role::map_out;
  if (ref.role == Role::shared_map && ref.name.ends_with(".out")) return tensor.size(0) * config.form.shared_hidden;
  return tensor.size(0) * (by_hidden ? config.hidden(ref.kind, ref.layer) : config.n_embd);
}

}  // namespace

ModelSize size_of(const Model& model) {
  ModelSize size;
  Model handles = model;
  for_each_parameter(handles, [&](const ParameterRef& ref) {
    size.weights += ref.role == Role::scale ? 0 : weights_in(*ref.tensor, handles.config, ref);
    size.bytes += static_cast<std::int64_t>(ref.tensor->nbytes());
  });
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
    if (ref.role != Role::scale && ref.tensor->is_floating_point()) *ref.tensor = ref.tensor->detach().to(dtype);
  });
  if (model.config.tie_word_embeddings) model.lm_head = model.wte;
}

std::int64_t weights_of(const Module& module) {
  std::int64_t weights = 0;
  for (const at::Tensor* tensor : {&module.in, &module.out, &module.row, &module.in_bias, &module.head_norm}) {
    if (tensor->defined()) weights += tensor->numel();
  }
  return weights;
}

void take_weights(Module& to, const Module& from) {
  to.in = from.in, to.out = from.out, to.row = from.row;
  to.in_scale = from.in_scale, to.out_scale = from.out_scale;
  to.in_bias = from.in_bias, to.head_norm = from.head_norm;
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
void select_private_rows(Model& model, const std::string& rows_name, const ModuleBank& from,
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
      if (part.name == rows_name) {
        part.value = part.value.index_select(0, at::tensor(kept, at::kLong).to(part.value.device()));
      }
    }
  }
}

}  // namespace

Model select(const Model& model, const ModuleSelection& keep) {
  Model selected = model;
  for (std::size_t l = 0; l < model.blocks.size(); ++l) {
    for (const Kind kind : {Kind::att, Kind::mlp}) {
      const ModuleBank& from = model.blocks[l].bank(kind);
      ModuleBank& to = selected.blocks[l].bank(kind);
      const auto& positions = keep.of(kind).at(l);
      if (static_cast<std::int64_t>(positions.size()) < from.least()) {
        throw Error("layer " + std::to_string(l) + " would keep " + std::to_string(positions.size()) + " " +
                        std::string(to_string(kind)) + " modules, but each token uses " + std::to_string(from.k),
                    "keep at least k modules of each kind in every layer");
      }
      select_private_rows(selected, names::bank_rows(static_cast<std::int64_t>(l), kind), from, positions);
      to.modules.clear();
      for (const std::int64_t position : positions) to.modules.push_back(from.modules.at(position));
    }
  }
  count_modules(selected);
  return selected;
}

}  // namespace mformer
