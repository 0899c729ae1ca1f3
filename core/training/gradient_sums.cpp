#include "core/training/gradient_sums.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <torch/csrc/autograd/function_hook.h>
#include <torch/csrc/autograd/variable.h>

#include <utility>

namespace mformer {

/// Some parameters and room for their gradients, one after the other, float32 (float64 where they are).
struct GradientSums::Bucket {
  std::vector<std::size_t> members;
  std::vector<std::int64_t> begins;
  std::int64_t count = 0;
  at::Tensor sums;
  std::size_t missing = 0;  ///< Gradients that have not come yet.
  ProcessGroup::Work work;
};

struct GradientSums::Hook : torch::autograd::PostAccumulateGradHook {
  Hook(GradientSums& owner, std::size_t which) : sums(owner), parameter(which) {}
  void operator()(const torch::autograd::Variable& /*tensor*/) override { sums.arrived(parameter); }

  GradientSums& sums;
  std::size_t parameter;
};

GradientSums::GradientSums(ProcessGroup* group, const std::vector<TrainedParameter>& parameters,
                           std::int64_t bucket_bytes)
    : group_(group) {
  if (group == nullptr) return;
  for (const TrainedParameter& one : parameters) parameters_.push_back(one.tensor);
  bucket_of_.resize(parameters_.size());
  for (std::size_t i = parameters_.size(); i-- > 0;) {
    const at::Tensor& parameter = parameters_[i];
    const at::ScalarType type = parameter.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
    const bool full =
        !buckets_.empty() &&
        static_cast<std::int64_t>(buckets_.back().sums.element_size()) * buckets_.back().count >= bucket_bytes;
    if (buckets_.empty() || full || buckets_.back().sums.scalar_type() != type) {
      buckets_.emplace_back().sums = at::empty({0}, type);
    }
    Bucket& bucket = buckets_.back();
    bucket.members.push_back(i), bucket.begins.push_back(bucket.count);
    bucket.count += parameter.numel();
    bucket_of_[i] = buckets_.size() - 1;
    torch::autograd::impl::set_post_acc_grad_hooks(parameter, std::make_unique<Hook>(*this, i));
  }
  for (Bucket& bucket : buckets_) bucket.sums = at::empty({bucket.count}, bucket.sums.options());
}

GradientSums::~GradientSums() {
  for (const at::Tensor& parameter : parameters_) {
    torch::autograd::impl::set_post_acc_grad_hooks(parameter, nullptr);
  }
}

void GradientSums::begin() {
  for (Bucket& bucket : buckets_) bucket.missing = bucket.members.size();
  next_ = 0;
  leaving_ = group_ != nullptr;
}

void GradientSums::arrived(std::size_t parameter) {
  if (!leaving_) return;
  --buckets_[bucket_of_[parameter]].missing;
  try {
    send_complete();
  } catch (const ProcessError&) {
    leaving_ = false;  // the backward pass ends as it would; finish() meets the same error
  }
}

void GradientSums::send_complete() {
  for (; next_ < buckets_.size() && buckets_[next_].missing == 0; ++next_) send(buckets_[next_]);
}

void GradientSums::send(Bucket& bucket) {
  const at::NoGradGuard no_grad;
  for (std::size_t i = 0; i < bucket.members.size(); ++i) {
    at::Tensor& grad = parameters_[bucket.members[i]].mutable_grad();
    const std::int64_t count = parameters_[bucket.members[i]].numel();
    const at::Tensor place = bucket.sums.narrow(0, bucket.begins[i], count);
    if (grad.defined()) {
      place.copy_(grad.reshape({count}));
    } else {
      place.zero_();
    }
    grad.reset();
  }
  bucket.work = group_->begin_sum(bucket.sums, Lane::gradients);
}

void GradientSums::finish() {
  if (group_ == nullptr) return;
  leaving_ = false;
  for (; next_ < buckets_.size(); ++next_) send(buckets_[next_]);
  for (Bucket& bucket : buckets_) {
    bucket.work.wait();
    for (std::size_t i = 0; i < bucket.members.size(); ++i) {
      at::Tensor& parameter = parameters_[bucket.members[i]];
      const at::Tensor sum = bucket.sums.narrow(0, bucket.begins[i], parameter.numel());
      parameter.mutable_grad() = sum.view(parameter.sizes()).to(parameter.options());
    }
  }
}

}  // namespace mformer
