#include "kernels/cpu/token_step.h"

#include <algorithm>

#include "kernels/cpu/token_step_layer.h"

namespace mformer::kernels::cpu {
namespace {

using c10::BFloat16;

/// Room for the widest of the layers.
template <typename T>
typename Step<T>::Shared shared_in(const StepForm& form, const std::vector<StepLayer>& layers, Parts& parts) {
  int64_t slots = 0, read = 0, raised = 0, hidden = 0, mixed = 0;
  for (const StepLayer& layer : layers) {
    slots = std::max(slots, layer.in.w.columns);
    read = std::max(read, layer.out.w.inner);
    const int64_t modules = layer.router ? layer.router->k : layer.slices;
    raised = std::max(raised, modules * layer.slice_hidden * (form.gated ? 2 : 1));
    hidden = std::max(hidden, modules * layer.slice_hidden);
    mixed = std::max(mixed, layer.router ? modules * form.width : 0);
  }
  typename Step<T>::Shared shared;
  shared.slots = parts.take<T>(slots);
  shared.read = parts.take<T>(read);
  shared.raised = parts.take<T>(raised);
  shared.hidden = parts.take<T>(hidden);
  shared.mixed = parts.take<T>(mixed);
  shared.sums = parts.take<float>(form.width);
  shared.hidden_codes = parts.take<int8_t>(hidden);
  shared.hidden_scales = parts.take<float>(3 * groups_for(hidden));
  return shared;
}

/// Of the largest layer: a layer is what is shared out.
int64_t operations_of(const StepForm& form, const std::vector<StepLayer>& layers) {
  int64_t most = 0;
  for (const StepLayer& layer : layers) {
    const int64_t hidden = (layer.router ? layer.router->k : layer.slices) * layer.slice_hidden;
    const int64_t columns = layer.in.w.columns + layer.out.w.inner + hidden * (form.gated ? 3 : 2);
    most = std::max(most, 2 * form.width * columns);
  }
  return most;
}

template <typename T>
void step_through(const StepForm& form, const std::vector<StepLayer>& layers, int64_t cached, const float* cos,
                  const float* sin, float* x) {
  Parts parts;
  shared_in<T>(form, layers, parts);
  parts.lie_in(scratch<char, kStepShared>(parts.used()));
  const auto shared = shared_in<T>(form, layers, parts);
  with_team(operations_of(form, layers), [&](Team& team, int64_t thread) {
    Step<T> step(form, cached, cos, sin, x, shared, team, thread);
    for (const StepLayer& layer : layers) step.run(layer);
  });
}

}  // namespace

void token_step(const StepForm& form, const std::vector<StepLayer>& layers, int64_t cached, const float* cos,
                const float* sin, float* x) {
  if (form.dtype == at::kFloat) {
    step_through<float>(form, layers, cached, cos, sin, x);
  } else {
    step_through<BFloat16>(form, layers, cached, cos, sin, x);
  }
}

}  // namespace mformer::kernels::cpu
