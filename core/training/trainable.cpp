#include "core/training/trainable.h"

namespace mformer {
namespace {

bool decays(ParameterRole role) {
  switch (role) {
    case ParameterRole::norm:
    case ParameterRole::bias:
    case ParameterRole::router_bias:
    case ParameterRole::temperature:
    case ParameterRole::module_bias:
    case ParameterRole::head_norm:
      return false;
    default:
      return true;
  }
}

}  // namespace

bool is_frozen(const Model& model, const ParameterRef& ref) {
  return ref.part == ParameterRef::Part::module && model.blocks[ref.layer].bank(ref.kind).modules[ref.module].frozen;
}

std::vector<TrainedParameter> make_trainable(Model& model, const TrainFilter& filter) {
  std::vector<TrainedParameter> trained;
  for_each_parameter(model, [&](const ParameterRef& ref) {
    const bool wanted = filter(ref) && !is_frozen(model, ref);
    ref.tensor->set_requires_grad(wanted);
    if (wanted) trained.push_back({ref.name, *ref.tensor, decays(ref.role)});
  });
  return trained;
}

void make_untrainable(Model& model) {
  for_each_parameter(model, [](const ParameterRef& ref) {
    ref.tensor->mutable_grad().reset();
    ref.tensor->set_requires_grad(false);
  });
}

TrainableCount count_trainable(Model& model) {
  TrainableCount count;
  for_each_parameter(model, [&](const ParameterRef& ref) {
    if (!ref.tensor->requires_grad()) return;
    const std::int64_t weights = ref.tensor->numel();
    if (ref.part == ParameterRef::Part::trunk) {
      count.trunk += weights;
    } else if (ref.part == ParameterRef::Part::router) {
      count.router += weights;
    } else if (ref.role == ParameterRole::row) {
      count.module_rows += weights;
    } else {
      (ref.kind == Kind::att ? count.att_modules : count.mlp_modules) += weights;
    }
  });
  return count;
}

}  // namespace mformer
