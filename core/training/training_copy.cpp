#include "core/training/training_copy.h"

#include <ATen/core/grad_mode.h>

#include <set>
#include <string>

#include "core/model/placement.h"

namespace mformer {

TrainingCopy::TrainingCopy(Model& home, at::Device device, bool bfloat16, const TrainFilter& may_be_trained)
    : home_(home), apart_(!device.is_cpu()) {
  if (!apart_) return;
  std::set<std::string> names;
  std::vector<at::Tensor> originals;
  for_each_parameter(home_, [&](const ParameterRef& ref) {
    if (!may_be_trained(ref) || is_frozen(home_, ref)) return;
    names.insert(ref.name);
    originals.push_back(*ref.tensor);
  });
  const auto is_trained = [&](const ParameterRef& ref) { return names.count(ref.name) != 0; };
  copy_ = home_;
  if (bfloat16) make_matrices_bfloat16(copy_, is_trained);  // on the CPU, so that no float32 ones need room there
  copy_ = on_device(copy_, device);
  std::size_t next = 0;
  for_each_parameter(copy_, [&](const ParameterRef& ref) {
    if (is_trained(ref)) trained_.emplace_back(originals[next++], *ref.tensor);
  });
}

void TrainingCopy::bring_back() {
  const at::NoGradGuard no_grad;
  for (auto& [home, there] : trained_) home.copy_(there);
}

}  // namespace mformer
