// AdamW and the gradient norm: the formula, the same bits whatever the threads, sizes around a chunk's edge.

#include "kernels/adamw.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/support/threads.h"
#include "tests/support/tolerance.h"

namespace mformer::kernels {
namespace {

using mformer::testing::relative_error;
using mformer::testing::ThreadCount;

constexpr std::int64_t kChunk = 65536;  // of the implementation
constexpr std::int64_t kCounts[] = {1, 15, 16, 17, kChunk - 1, kChunk, kChunk + 1, 3 * kChunk + 5};

AdamWTensor random_tensor(std::int64_t size, at::ScalarType dtype, bool decay) {
  const at::ScalarType moments = dtype == at::kDouble ? at::kDouble : at::kFloat;
  return {at::randn({size}).to(dtype), at::randn({size}).to(dtype), at::randn({size}).to(moments),
          at::rand({size}).to(moments), decay};
}

/// Of every size, with and without decay, the second with no gradient.
std::vector<AdamWTensor> random_tensors(at::ScalarType dtype) {
  at::manual_seed(7);
  std::vector<AdamWTensor> tensors;
  for (const std::int64_t size : kCounts) tensors.push_back(random_tensor(size, dtype, tensors.size() % 2 == 0));
  tensors[1].gradient.reset();
  return tensors;
}

AdamWTensor copy(const AdamWTensor& tensor) {
  AdamWTensor result = tensor;
  for (at::Tensor* part : {&result.weight, &result.exp_avg, &result.exp_avg_sq}) *part = part->clone();
  return result;
}

std::vector<AdamWTensor> copy(const std::vector<AdamWTensor>& tensors) {
  std::vector<AdamWTensor> result;
  for (const AdamWTensor& tensor : tensors) result.push_back(copy(tensor));
  return result;
}

AdamWStep third_step() {
  return {3, 0.01, 0.8, 0.9, 1e-6, 0.3, 0.25};
}

/// The formula in float64.
void naive_step(AdamWTensor& tensor, const AdamWStep& s) {
  const auto in_double = [](const at::Tensor& x) { return x.to(at::kDouble); };
  const at::Tensor g = tensor.gradient.defined() ? in_double(tensor.gradient) * s.gradient_scale
                                                 : at::zeros_like(in_double(tensor.weight));
  tensor.exp_avg = in_double(tensor.exp_avg) * s.beta1 + g * (1 - s.beta1);
  tensor.exp_avg_sq = in_double(tensor.exp_avg_sq) * s.beta2 + g * g * (1 - s.beta2);
  const at::Tensor m = tensor.exp_avg / (1 - std::pow(s.beta1, s.number)),
                   v = tensor.exp_avg_sq / (1 - std::pow(s.beta2, s.number));
  at::Tensor weight = in_double(tensor.weight);
  if (tensor.decay) weight = weight - s.learning_rate * s.weight_decay * weight;
  tensor.weight = weight - s.learning_rate * m / (v.sqrt() + s.epsilon);
}

class AdamWStepTest : public ::testing::TestWithParam<at::ScalarType> {};

TEST_P(AdamWStepTest, FollowsTheFormulaForEverySizeWithAndWithoutDecayAndGradient) {
  std::vector<AdamWTensor> actual = random_tensors(GetParam());
  std::vector<AdamWTensor> expected = copy(actual);
  adamw_step(actual, third_step());
  // Rounding of a few float32 operations; a weight of fewer bits is rounded once more, by half of 2^-7 at most.
  const double weights = at::isReducedFloatingType(GetParam()) ? 0x1p-8 : 1e-6;
  for (std::size_t i = 0; i < actual.size(); ++i) {
    naive_step(expected[i], third_step());
    EXPECT_LT(relative_error(actual[i].weight, expected[i].weight), weights) << i;
    EXPECT_LT(relative_error(actual[i].exp_avg, expected[i].exp_avg), 1e-6) << i;
    EXPECT_LT(relative_error(actual[i].exp_avg_sq, expected[i].exp_avg_sq), 1e-6) << i;
  }
}

TEST_P(AdamWStepTest, GivesTheSameBitsWhateverTheNumberOfThreads) {
  const std::vector<AdamWTensor> start = random_tensors(GetParam());
  std::vector<AdamWTensor> one = copy(start);
  {
    const ThreadCount serial(1);
    adamw_step(one, third_step());
  }
  for (const int threads : {2, 3, 5}) {
    const ThreadCount count(threads);
    std::vector<AdamWTensor> several = copy(start);
    adamw_step(several, third_step());
    for (std::size_t i = 0; i < one.size(); ++i) {
      EXPECT_TRUE(several[i].weight.equal(one[i].weight)) << i;
      EXPECT_TRUE(several[i].exp_avg.equal(one[i].exp_avg)) << i;
      EXPECT_TRUE(several[i].exp_avg_sq.equal(one[i].exp_avg_sq)) << i;
    }
  }
}

TEST_P(AdamWStepTest, TakesNoGradientForZeros) {
  AdamWTensor none = random_tensors(GetParam()).back();
  none.gradient.reset();
  AdamWTensor zeros = copy(none);
  zeros.gradient = at::zeros_like(zeros.weight);
  adamw_step({none, zeros}, third_step());
  EXPECT_TRUE(none.weight.equal(zeros.weight));
  EXPECT_TRUE(none.exp_avg.equal(zeros.exp_avg) && none.exp_avg_sq.equal(zeros.exp_avg_sq));
}

INSTANTIATE_TEST_SUITE_P(Dtypes, AdamWStepTest, ::testing::Values(at::kFloat, at::kDouble, at::kBFloat16, at::kHalf));

TEST(AdamWStepOnMixedDtypes, UpdatesEachByItself) {
  const AdamWTensor half = random_tensors(at::kBFloat16).back(), full = random_tensors(at::kFloat).back();
  const AdamWTensor half_alone = copy(half), full_alone = copy(full);
  adamw_step({half, full}, third_step());
  adamw_step({half_alone}, third_step());
  adamw_step({full_alone}, third_step());
  EXPECT_TRUE(half.weight.equal(half_alone.weight) && full.weight.equal(full_alone.weight));
}

TEST(AdamWStepOnWeights, CountsAsAChangeOfTheWeightButNotOfTheGradient) {
  const AdamWTensor tensor = random_tensors(at::kFloat).front();
  const auto weight = tensor.weight._version(), gradient = tensor.gradient._version();
  const at::Tensor before = tensor.gradient.clone();
  adamw_step({tensor}, third_step());
  EXPECT_GT(tensor.weight._version(), weight);
  EXPECT_EQ(tensor.gradient._version(), gradient);
  EXPECT_TRUE(tensor.gradient.equal(before)) << "the scale is not written back";
}

TEST(AdamWStepOnWeights, RefusesWhatDoesNotFitBeforeAnythingChanges) {
  const auto refuse = [](const std::string& field, const std::function<void(AdamWTensor&)>& spoil) {
    std::vector<AdamWTensor> tensors = random_tensors(at::kFloat);
    const at::Tensor first = tensors.front().weight.clone();
    spoil(tensors.back());
    try {
      adamw_step(tensors, third_step());
      ADD_FAILURE() << field << " was taken";
    } catch (const c10::Error& e) {
      EXPECT_THAT(e.msg(), ::testing::StartsWith(field + " must be"));
    }
    EXPECT_TRUE(tensors.front().weight.equal(first));
  };
  refuse("weight", [](AdamWTensor& t) { t.weight = at::ones({4, 4}).t().narrow(0, 0, 2); });
  refuse("weight", [](AdamWTensor& t) { t.weight = at::ones({3}, at::kLong); });
  refuse("gradient", [](AdamWTensor& t) { t.gradient = t.gradient.to(at::kDouble); });
  refuse("gradient", [](AdamWTensor& t) { t.gradient = at::ones({2}); });
  refuse("exp_avg", [](AdamWTensor& t) { t.exp_avg = t.exp_avg.to(at::kBFloat16); });
  refuse("exp_avg_sq", [](AdamWTensor& t) { t.exp_avg_sq = at::Tensor(); });
  EXPECT_THROW(adamw_step({}, {0}), c10::Error) << "steps are counted from 1";
}

TEST(GradientNorm, IsThatOfAllTensorsAsOneVector) {
  for (const at::ScalarType dtype : {at::kFloat, at::kDouble, at::kBFloat16, at::kHalf}) {
    at::manual_seed(8);
    std::vector<at::Tensor> tensors = {at::Tensor()};
    double squares = 0;
    for (const std::int64_t size : kCounts) {
      tensors.push_back(at::randn({size}).to(dtype));
      squares += tensors.back().to(at::kDouble).square().sum().item<double>();
    }
    EXPECT_NEAR(gradient_norm(tensors) / std::sqrt(squares), 1.0, 1e-12) << dtype;
  }
  EXPECT_EQ(gradient_norm({}), 0.0);
  EXPECT_DOUBLE_EQ(gradient_norm({at::tensor({3.0}, at::kDouble), at::tensor({4.0F})}), 5.0) << "of mixed dtypes";
}

TEST(GradientNorm, HasTheSameBitsWhateverTheNumberOfThreads) {
  at::manual_seed(9);
  std::vector<at::Tensor> tensors;
  for (const std::int64_t size : kCounts) tensors.push_back(at::randn({size}) * 1e-3);
  const auto norm_with = [&](int threads) {
    const ThreadCount count(threads);
    return gradient_norm(tensors);
  };
  for (const int threads : {2, 3, 5}) EXPECT_EQ(norm_with(threads), norm_with(1)) << threads;
}

TEST(GradientNorm, NeitherOverflowsNorHidesWhatIsNotFinite) {
  EXPECT_NEAR(gradient_norm({at::full({4}, 1e30F)}) / 2e30, 1.0, 1e-6);
  for (const std::int64_t at : {0, 20}) {
    at::Tensor x = at::ones({21});
    x[at] = std::numeric_limits<float>::quiet_NaN();
    EXPECT_TRUE(std::isnan(gradient_norm({x})));
    x[at] = std::numeric_limits<float>::infinity();
    EXPECT_TRUE(std::isinf(gradient_norm({x})));
  }
}

TEST(GradientNorm, RefusesTensorsThatAreNotContiguous) {
  EXPECT_THROW(gradient_norm({at::ones({4, 4}).t().narrow(0, 0, 2)}), c10::Error);
}

}  // namespace
}  // namespace mformer::kernels
