#include <cmath>

#include "kernels/device/fused.h"
#include "kernels/device/start.h"

namespace mformer::kernels::device::fused {
namespace {

cuda::AdamW problem_of(const AdamWStep& step, cuda::Dtype dtype) {
  cuda::AdamW problem;
  const auto number = static_cast<double>(step.number);
  problem.dtype = dtype;
  problem.gradient_scale = static_cast<float>(step.gradient_scale);
  problem.part1 = static_cast<float>(1 - step.beta1);
  problem.beta2 = static_cast<float>(step.beta2);
  problem.part2 = static_cast<float>(1 - step.beta2);
  problem.rate = static_cast<float>(step.learning_rate / (1 - std::pow(step.beta1, number)));
  problem.root_scale = static_cast<float>(1 / std::sqrt(1 - std::pow(step.beta2, number)));
  problem.epsilon = static_cast<float>(step.epsilon);
  return problem;
}

void append(const AdamWTensor& tensor, const AdamWStep& step, cuda::AdamW& problem) {
  cuda::AdamW::Part& part = problem.parts[problem.count++];
  part = {tensor.weight.mutable_data_ptr(),
          tensor.gradient.defined() ? tensor.gradient.const_data_ptr() : nullptr,
          tensor.exp_avg.mutable_data_ptr<float>(),
          tensor.exp_avg_sq.mutable_data_ptr<float>(),
          tensor.weight.numel(),
          problem.blocks,
          static_cast<float>(tensor.decay ? 1 - step.learning_rate * step.weight_decay : 1.0)};
  problem.blocks += (part.weights + cuda::AdamW::kWeightsPerBlock - 1) / cuda::AdamW::kWeightsPerBlock;
}

}  // namespace

bool takes_adamw(const AdamWTensor& tensor) {
  return tensor.weight.scalar_type() == at::kFloat || tensor.weight.scalar_type() == at::kBFloat16;
}

void adamw_step(const std::vector<AdamWTensor>& tensors, const AdamWStep& step) {
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    const cuda::AdamW empty = problem_of(step, dtype == at::kFloat ? cuda::Dtype::float32 : cuda::Dtype::bfloat16);
    cuda::AdamW problem = empty;
    at::Tensor any;
    const auto launch = [&] {
      if (problem.blocks > 0) start(any, problem);
      problem = empty;
    };
    for (const AdamWTensor& tensor : tensors) {
      if (tensor.weight.scalar_type() != dtype || tensor.weight.numel() == 0) continue;
      any = tensor.weight;
      append(tensor, step, problem);
      tensor.weight.unsafeGetTensorImpl()->bump_version();  // whoever keeps something made from it sees that it changed
      if (problem.count == cuda::AdamW::kMostParts) launch();
    }
    launch();
  }
}

}  // namespace mformer::kernels::device::fused
