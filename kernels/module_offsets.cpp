#include "kernels/module_offsets.h"

#include <ATen/ops/tensor.h>

namespace mformer::kernels {

ModuleOffsets::ModuleOffsets(std::vector<int64_t> on_host) : state_(c10::make_intrusive<State>()) {
  TORCH_CHECK(!on_host.empty(), "offset must have an entry more than there are modules, got none");
  state_->modules = static_cast<int64_t>(on_host.size()) - 1;
  state_->rows = on_host.back();
  state_->here = std::move(on_host);
}

ModuleOffsets::ModuleOffsets(const at::Tensor& offset, int64_t rows) : state_(c10::make_intrusive<State>()) {
  TORCH_CHECK(offset.dim() == 1 && offset.numel() > 0 && offset.scalar_type() == at::kLong && !offset.device().is_cpu(),
              "offset must be int64 [modules + 1] on a device, got ", offset.scalar_type(), " ", offset.sizes(), " on ",
              offset.device());
  state_->modules = offset.numel() - 1;
  state_->rows = rows;
  state_->there = offset;
}

const std::vector<int64_t>& ModuleOffsets::on_host() const {
  const std::lock_guard lock(state_->mutex);
  if (!state_->here.empty()) return state_->here;
  const at::Tensor copy = state_->there.cpu();
  const auto* first = copy.const_data_ptr<int64_t>();
  TORCH_CHECK(first[0] == 0 && first[state_->modules] == state_->rows, "chosen holds modules outside of 0 to ",
              state_->modules - 1);
  state_->here.assign(first, first + state_->modules + 1);
  return state_->here;
}

at::Tensor ModuleOffsets::ends(const at::Device& device) const {
  const std::lock_guard lock(state_->mutex);
  if (state_->ends.defined() && state_->ends.device() == device) return state_->ends;
  if (state_->there.defined()) {
    state_->ends = state_->there.narrow(0, 1, state_->modules).to(at::kInt);
  } else {
    const std::vector<int64_t> ends(state_->here.begin() + 1, state_->here.end());
    state_->ends = at::tensor(ends, at::TensorOptions(at::kInt)).to(device);
  }
  return state_->ends;
}

ModuleOffsets ModuleOffsets::from_value(const c10::IValue& value) {
  return ModuleOffsets(c10::static_intrusive_pointer_cast<State>(value.toCapsule()));
}

}  // namespace mformer::kernels
