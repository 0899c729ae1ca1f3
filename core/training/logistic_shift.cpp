#include "core/training/logistic_shift.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <ATen/ops/softplus.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <cmath>
#include <numeric>
#include <vector>

#include "kernels/linear.h"

namespace mformer {
namespace {

constexpr int kSteps = 25;
constexpr double kEnough = 1e-6;  // relative fall of the objective that ends the search

/// x with A x = b for a positive definite A [n, n], row-major, which is overwritten: Cholesky's factorisation.
std::vector<double> solve(std::vector<double> a, std::vector<double> b) {
  const std::size_t n = b.size();
  for (std::size_t j = 0; j < n; ++j) {
    for (std::size_t i = j; i < n; ++i) {
      double sum = a[i * n + j];
      for (std::size_t k = 0; k < j; ++k) sum -= a[i * n + k] * a[j * n + k];
      a[i * n + j] = i == j ? std::sqrt(sum) : sum / a[j * n + j];
    }
  }
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t k = 0; k < i; ++k) b[i] -= a[i * n + k] * b[k];
    b[i] /= a[i * n + i];
  }
  for (std::size_t i = n; i-- > 0;) {
    for (std::size_t k = i + 1; k < n; ++k) b[i] -= a[k * n + i] * b[k];
    b[i] /= a[i * n + i];
  }
  return b;
}

std::vector<double> as_doubles(const at::Tensor& x) {
  const at::Tensor values = x.to(at::kDouble).contiguous();
  return {values.const_data_ptr<double>(), values.const_data_ptr<double>() + values.numel()};
}

class Objective {
 public:
  Objective(const LabelledTokens& first, const LabelledTokens& second, double first_weight, double ridge)
      : tokens_{at::cat({first.inputs, second.inputs}), at::cat({first.odds, second.odds})},
        columns_(tokens_.inputs.t().contiguous()) {
    const auto firsts = first.odds.size(0), seconds = second.odds.size(0);
    sign_ = at::cat({at::full({firsts}, 1.0), at::full({seconds}, -1.0)});
    weight_ = at::cat({at::full({firsts}, first_weight / static_cast<double>(firsts)),
                       at::full({seconds}, 1.0 / static_cast<double>(seconds))});
    ridge_ = ridge * ordered_sum(tokens_.inputs.square()) / static_cast<double>(tokens_.inputs.numel());
  }

  std::int64_t width() const { return columns_.size(0); }

  double value(const at::Tensor& shift) const {
    const at::Tensor loss = at::softplus(sign_ * shifted_odds(tokens_, shift)) * weight_;
    return ordered_sum(loss) + 0.5 * ridge_ * ordered_sum(shift.square());
  }

  /// Newton's step: the inverse of the Hessian times the gradient.
  at::Tensor step(const at::Tensor& shift) const {
    const at::Tensor p = shifted_odds(tokens_, shift).sigmoid();
    const at::Tensor slope = weight_ * (p - (sign_ < 0).to(at::kFloat));
    const at::Tensor gradient = kernels::linear(columns_, slope.unsqueeze(0)).squeeze(1) + ridge_ * shift;
    std::vector<double> hessian = as_doubles(kernels::linear(columns_ * (weight_ * p * (1.0 - p)), columns_));
    const auto n = static_cast<std::size_t>(width());
    for (std::size_t i = 0; i < n; ++i) hessian[i * n + i] += ridge_;
    const std::vector<double> direction = solve(std::move(hessian), as_doubles(gradient));
    at::Tensor result = at::zeros_like(shift);
    for (std::size_t i = 0; i < n; ++i) result.mutable_data_ptr<float>()[i] = static_cast<float>(direction[i]);
    return result;
  }

 private:
  LabelledTokens tokens_;
  at::Tensor columns_;  ///< [width, tokens]
  at::Tensor sign_, weight_;
  double ridge_ = 0;
};

}  // namespace

double ordered_sum(const at::Tensor& x) {
  const std::vector<double> values = as_doubles(x);
  return std::accumulate(values.begin(), values.end(), 0.0);
}

at::Tensor shifted_odds(const LabelledTokens& tokens, const at::Tensor& shift) {
  return tokens.odds + kernels::linear(tokens.inputs, shift.unsqueeze(0)).squeeze(1);
}

at::Tensor logistic_shift(const LabelledTokens& first, const LabelledTokens& second, double first_weight,
                          double ridge) {
  const Objective objective(first, second, first_weight, ridge);
  at::Tensor shift = at::zeros({objective.width()});
  double value = objective.value(shift);
  for (int i = 0; i < kSteps; ++i) {
    const at::Tensor step = objective.step(shift);
    double length = 1.0, next = value;
    at::Tensor candidate;
    for (; length > 1e-4; length /= 2) {
      candidate = shift - length * step;
      next = objective.value(candidate);
      if (next < value) break;
    }
    if (!(next < value)) break;
    shift = candidate;
    const bool enough = value - next < kEnough * value;
    value = next;
    if (enough) break;
  }
  return shift;
}

}  // namespace mformer
