#include "core/model/placement.h"

#include <algorithm>

#include "kernels/stacked_weights.h"

namespace mformer {
namespace {

/// bfloat16 maps of neighbouring modules become slices of one tensor, which grouped products take as it is.
void move_side_by_side(std::vector<Module>& modules, at::Tensor Module::*map, at::Device device) {
  for (std::size_t first = 0, end = 0; first < modules.size(); first = std::max(end, first + 1)) {
    std::vector<at::Tensor> run;
    for (end = first; end < modules.size() && (modules[end].*map).scalar_type() == at::kBFloat16; ++end) {
      run.push_back(modules[end].*map);
    }
    const std::vector<at::Tensor> slices = kernels::side_by_side(run, at::kBFloat16, device);
    for (std::size_t i = 0; i < slices.size(); ++i) modules[first + i].*map = slices[i];
  }
}

}  // namespace

at::Device device_of(const Model& model) {
  return model.wte.device();
}

Model on_device(const Model& model, at::Device device) {
  if (device_of(model) == device) return model;
  Model moved = model;
  for (Block& block : moved.blocks) {
    for (const Kind kind : {Kind::att, Kind::mlp}) {
      move_side_by_side(block.bank(kind).modules, &Module::in, device);
      move_side_by_side(block.bank(kind).modules, &Module::out, device);
    }
  }
  for_each_parameter(moved, [&](const ParameterRef& ref) { *ref.tensor = ref.tensor->detach().to(device); });
  if (moved.config.tie_word_embeddings) moved.lm_head = moved.wte;
  for (Domain& domain : moved.domains) {
    for (PrivatePart& part : domain.parts) {
      if (part.rows.defined()) part.rows = part.rows.to(device);
    }
  }
  return moved;
}

bool is_product_matrix(const ParameterRef& ref) {
  if (ref.is_map()) return true;
  if (ref.part != ParameterRef::Part::trunk) return false;
  return ref.role == ParameterRole::head || ref.role == ParameterRole::projection ||
         ref.role == ParameterRole::shared_map;
}

void make_matrices_bfloat16(Model& model, const std::function<bool(const ParameterRef&)>& kept) {
  for_each_parameter(model, [&](const ParameterRef& ref) {
    if (!is_product_matrix(ref) || !ref.tensor->is_floating_point() || (kept && kept(ref))) return;
    *ref.tensor = ref.tensor->detach().to(at::kBFloat16);
  });
  model.bfloat16_matrices = true;
}

}  // namespace mformer
