// Distillation against loops over tokens and words.

#include "core/model/distillation.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "core/model/losses.h"
#include "tests/support/expect_error.h"
#include "tests/support/finite_difference.h"
#include "tests/support/threads.h"
#include "tests/support/tiny_model.h"
#include "tests/support/tolerance.h"

namespace mformer {
namespace {

using testing::expect_gradients_match_finite_differences;
using testing::kFloat64;

/// Only the head of a model takes part.
Model head_of(std::int64_t width, std::uint64_t seed, at::ScalarType dtype = at::kDouble, std::int64_t vocab = 11) {
  at::manual_seed(seed);
  Model model;
  model.lm_head = at::randn({vocab, width}, dtype);
  return model;
}

struct Case {
  explicit Case(std::int64_t tokens, at::ScalarType dtype = at::kDouble) {
    at::manual_seed(3);
    hidden = at::randn({2, tokens, 5}, dtype);
    teacher_hidden = at::randn({2, tokens, 7}, dtype);
    targets = at::randint(0, 11, {2, tokens}, at::kLong);
    targets.masked_fill_(at::rand({2, tokens}) < 0.3, -100);
    student = head_of(5, 1, dtype), teacher = head_of(7, 2, dtype);
  }
  at::Tensor loss(double temperature) const {
    return distillation_loss(student, hidden, teacher, teacher_hidden, targets, temperature,
                             std::max<std::int64_t>(1, counted(targets)));
  }

  at::Tensor hidden, teacher_hidden, targets;
  Model student, teacher;
};

/// T² · mean of KL(teacher ‖ student), one number after the other.
double by_loops(const Case& c, double temperature) {
  const at::Tensor q = (c.hidden.matmul(c.student.lm_head.t()) / temperature).softmax(-1).contiguous();
  const at::Tensor p = (c.teacher_hidden.matmul(c.teacher.lm_head.t()) / temperature).softmax(-1).contiguous();
  double sum = 0, counted = 0;
  for (std::int64_t b = 0; b < p.size(0); ++b) {
    for (std::int64_t t = 0; t < p.size(1); ++t) {
      if (c.targets[b][t].item<std::int64_t>() == -100) continue;
      ++counted;
      for (std::int64_t v = 0; v < p.size(2); ++v) {
        const double of_teacher = p[b][t][v].item<double>(), of_student = q[b][t][v].item<double>();
        sum += of_teacher * (std::log(of_teacher) - std::log(of_student));
      }
    }
  }
  return temperature * temperature * sum / counted;
}

TEST(DistillationLoss, IsTheScaledDivergenceOfTheTokensThatCount) {
  const Case c(6);
  for (const double temperature : {1.0, 2.5}) {
    EXPECT_NEAR(c.loss(temperature).item<double>(), by_loops(c, temperature), kFloat64) << temperature;
  }
}

TEST(DistillationLoss, IsTheSameInSeveralChunks) {
  const Case c(700);  // 2 · 700 · 0.7 tokens that count: two chunks of at most 512
  EXPECT_NEAR(c.loss(2.0).item<double>(), by_loops(c, 2.0), kFloat64);
}

TEST(DistillationLoss, HasTheGradientsOfFiniteDifferences) {
  Case c(5);
  c.hidden.set_requires_grad(true);
  c.student.lm_head.set_requires_grad(true);
  c.teacher_hidden.set_requires_grad(true);
  expect_gradients_match_finite_differences([&] { return c.loss(1.5); }, {c.hidden, c.student.lm_head});
  EXPECT_FALSE(c.teacher_hidden.grad().defined()) << "the teacher learns nothing";
}

TEST(DistillationLoss, AddsUpTheGradientsOfTheChunks) {
  Case c(700);
  c.hidden.set_requires_grad(true);
  c.student.lm_head.set_requires_grad(true);
  (3.0 * c.loss(1.5)).backward();
  const at::Tensor hidden = c.hidden.grad().clone(), head = c.student.lm_head.grad().clone();
  c.hidden.mutable_grad().reset(), c.student.lm_head.mutable_grad().reset();
  const at::Tensor mask = c.targets.ne(-100).to(at::kDouble);
  const at::Tensor q = (c.hidden.matmul(c.student.lm_head.t()) / 1.5).log_softmax(-1);
  const at::Tensor p = (c.teacher_hidden.matmul(c.teacher.lm_head.t()) / 1.5).softmax(-1);
  (3.0 * 1.5 * 1.5 * ((p * (p.log() - q)).sum(-1) * mask).sum() / mask.sum()).backward();
  EXPECT_LE(testing::relative_error(hidden, c.hidden.grad()), kFloat64);
  EXPECT_LE(testing::relative_error(head, c.student.lm_head.grad()), kFloat64);
}

TEST(DistillationLoss, VanishesWhenTheStudentIsTheTeacher) {
  Case c(6);
  c.hidden.set_requires_grad(true);
  const at::Tensor loss = distillation_loss(c.student, c.hidden, c.student, c.hidden.detach(), c.targets, 2.0, 12);
  loss.backward();
  EXPECT_NEAR(loss.item<double>(), 0.0, kFloat64);
  EXPECT_LE(c.hidden.grad().abs().max().item<double>(), kFloat64);
}

TEST(DistillationLoss, IsZeroWithoutATokenThatCounts) {
  Case c(6);
  c.targets.fill_(-100);
  c.hidden.set_requires_grad(true);
  const at::Tensor loss = c.loss(1.0);
  loss.backward();
  EXPECT_EQ(loss.item<double>(), 0.0);
  EXPECT_EQ(c.hidden.grad().abs().max().item<double>(), 0.0);
}

TEST(DistillationLoss, HasTheSameBitsForAnyNumberOfThreads) {
  Case c(700, at::kFloat);
  c.hidden.set_requires_grad(true);
  c.student.lm_head.set_requires_grad(true);
  const auto run = [&](int threads) {
    const testing::ThreadCount here(threads);
    c.hidden.mutable_grad().reset(), c.student.lm_head.mutable_grad().reset();
    const at::Tensor loss = c.loss(2.0);
    loss.backward();
    return std::vector<at::Tensor>{loss.detach(), c.hidden.grad().clone(), c.student.lm_head.grad().clone()};
  };
  const auto one = run(1), three = run(3);
  for (std::size_t i = 0; i < one.size(); ++i) EXPECT_TRUE(one[i].equal(three[i])) << i;
}

TEST(DistillationLoss, RefusesATeacherOfAnotherVocabulary) {
  Case c(4);
  c.teacher = head_of(7, 2, at::kDouble, 12);
  testing::expect_error<Error>([&] { c.loss(1.0); }, "12 tokens");
}

}  // namespace
}  // namespace mformer
