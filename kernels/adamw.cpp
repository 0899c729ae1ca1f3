#include "kernels/adamw.h"

#include <ATen/OpMathType.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "kernels/cpu/adamw.h"
#include "kernels/cpu/tasks.h"
#include "kernels/device/adamw.h"

namespace mformer::kernels {
namespace {

constexpr int64_t kChunk = 1 << 16;  // weights; a tensor's last chunk has fewer
constexpr int64_t kOperationsPerWeight = 10;

void check_layout(const char* name, const at::Tensor& x) {
  TORCH_CHECK(x.defined() && x.is_contiguous() && at::isFloatingType(x.scalar_type()), name,
              " must be a contiguous floating-point tensor");
}

/// Where all of them are.
class Place {
 public:
  void add(const char* name, const at::Tensor& x) {
    if (!device_.has_value()) device_ = x.device();
    TORCH_CHECK(x.device() == *device_, name, " must be on ", *device_, " as the others are, got ", x.device());
  }
  bool is_cpu() const { return !device_.has_value() || device_->is_cpu(); }

 private:
  std::optional<at::Device> device_;
};

void check_like(const char* name, const at::Tensor& x, const at::Tensor& weight, at::ScalarType dtype) {
  check_layout(name, x);
  TORCH_CHECK(x.sizes() == weight.sizes() && x.scalar_type() == dtype, name, " must be ", dtype, " ", weight.sizes(),
              " for this weight, got ", x.scalar_type(), " ", x.sizes());
}

void check(const AdamWTensor& tensor, Place& place) {
  check_layout("weight", tensor.weight);
  const at::ScalarType dtype = tensor.weight.scalar_type(), moments = at::toOpMathType(dtype);
  if (tensor.gradient.defined()) check_like("gradient", tensor.gradient, tensor.weight, dtype);
  check_like("exp_avg", tensor.exp_avg, tensor.weight, moments);
  check_like("exp_avg_sq", tensor.exp_avg_sq, tensor.weight, moments);
  place.add("weight", tensor.weight);
  if (tensor.gradient.defined()) place.add("gradient", tensor.gradient);
  place.add("exp_avg", tensor.exp_avg);
  place.add("exp_avg_sq", tensor.exp_avg_sq);
}

template <typename Weight>
void append_chunks(const AdamWTensor& tensor, double kept, std::vector<cpu::AdamWChunk<Weight>>& chunks) {
  using Moment = at::opmath_type<Weight>;
  auto* weight = tensor.weight.mutable_data_ptr<Weight>();
  const auto* gradient = tensor.gradient.defined() ? tensor.gradient.const_data_ptr<Weight>() : nullptr;
  auto* exp_avg = tensor.exp_avg.mutable_data_ptr<Moment>();
  auto* exp_avg_sq = tensor.exp_avg_sq.mutable_data_ptr<Moment>();
  for (int64_t at = 0; at < tensor.weight.numel(); at += kChunk) {
    chunks.push_back({std::min(kChunk, tensor.weight.numel() - at), weight + at,
                      gradient != nullptr ? gradient + at : nullptr, exp_avg + at, exp_avg_sq + at, kept});
  }
}

/// The tensors of one dtype; nearly always that is all of them.
template <typename Weight>
void update(const std::vector<AdamWTensor>& tensors, const AdamWStep& step, const cpu::AdamWFactors& factors) {
  std::vector<cpu::AdamWChunk<Weight>> chunks;
  int64_t weights = 0;
  for (const AdamWTensor& tensor : tensors) {
    if (tensor.weight.scalar_type() != c10::CppTypeToScalarType<Weight>::value) continue;
    append_chunks(tensor, tensor.decay ? 1 - step.learning_rate * step.weight_decay : 1.0, chunks);
    weights += tensor.weight.numel();
  }
  cpu::for_each_task(static_cast<int64_t>(chunks.size()), kOperationsPerWeight * weights,
                     [&](int64_t i) { cpu::adamw_update(chunks[i], factors); });
}

template <typename Value>
double squares(const std::vector<at::Tensor>& tensors) {
  struct Chunk {
    const Value* values;
    int64_t count;
  };
  std::vector<Chunk> chunks;
  int64_t all = 0;
  for (const at::Tensor& tensor : tensors) {
    if (!tensor.defined() || tensor.scalar_type() != c10::CppTypeToScalarType<Value>::value) continue;
    const auto* values = tensor.const_data_ptr<Value>();
    for (int64_t at = 0; at < tensor.numel(); at += kChunk) {
      chunks.push_back({values + at, std::min(kChunk, tensor.numel() - at)});
    }
    all += tensor.numel();
  }
  std::vector<double> sums(chunks.size());
  cpu::for_each_task(static_cast<int64_t>(chunks.size()), all,
                     [&](int64_t i) { sums[i] = cpu::sum_of_squares(chunks[i].values, chunks[i].count); });
  double sum = 0;
  for (const double part : sums) sum += part;
  return sum;
}

}  // namespace

void adamw_step(const std::vector<AdamWTensor>& tensors, const AdamWStep& step) {
  TORCH_CHECK(step.number >= 1, "number must be at least 1, got ", step.number);
  Place place;
  for (const AdamWTensor& tensor : tensors) check(tensor, place);
  if (!place.is_cpu()) return device::adamw_step(tensors, step);
  const auto number = static_cast<double>(step.number);
  const cpu::AdamWFactors factors{step.gradient_scale,
                                  step.beta1,
                                  step.beta2,
                                  step.epsilon,
                                  step.learning_rate / (1 - std::pow(step.beta1, number)),
                                  1 / std::sqrt(1 - std::pow(step.beta2, number))};
  update<float>(tensors, step, factors);
  update<double>(tensors, step, factors);
  update<at::BFloat16>(tensors, step, factors);
  update<at::Half>(tensors, step, factors);
  // Whoever keeps something made from a weight (a packed copy, a saved tensor of autograd) sees that it changed.
  for (const AdamWTensor& tensor : tensors) tensor.weight.unsafeGetTensorImpl()->bump_version();
}

double gradient_norm(const std::vector<at::Tensor>& gradients) {
  Place place;
  std::vector<at::Tensor> defined;
  for (const at::Tensor& gradient : gradients) {
    if (!gradient.defined()) continue;
    check_layout("gradients", gradient);
    place.add("gradients", gradient);
    defined.push_back(gradient);
  }
  if (!place.is_cpu()) return device::gradient_norm(defined);
  return std::sqrt(squares<float>(gradients) + squares<double>(gradients) + squares<at::BFloat16>(gradients) +
                   squares<at::Half>(gradients));
}

}  // namespace mformer::kernels
