// Training: what a step does, what it leaves alone, and when it stops.

#include "core/training/trainer.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <limits>

#include "core/model/losses.h"
#include "tests/core/training/training_process.h"
#include "tests/support/expect_error.h"
#include "tests/support/threads.h"

namespace mformer {
namespace {

using Process = testing::TrainingProcess;
using testing::expect_error;
using testing::same_bits;
using testing::short_options;
using testing::tiny_config;
using testing::tiny_model;

TEST(Train, LearnsWhatTheDataHolds) {
  Process process({}, tiny_config());
  TrainOptions options = short_options();
  options.steps = 150;
  const TrainResult result = process.run(options);
  EXPECT_GT(process.reports.front().loss, 3.5);
  EXPECT_LT(result.loss, process.reports.front().loss - 1.0);
  EXPECT_EQ(result.tokens, 150 * 4 * 12);
}

TEST(Train, GivesTheSameBitsInEveryRun) {
  const testing::ThreadCount count(2);
  Process a, b;
  a.run();
  b.run();
  EXPECT_TRUE(same_bits(a.model, b.model));
}

TEST(Train, DependsOnTheSeedOfDropoutAndSampling) {
  Process a, b;
  a.run();
  TrainOptions options = short_options();
  options.seed = 10;
  b.run(options);
  EXPECT_FALSE(same_bits(a.model, b.model));
}

TEST(Train, DropsOutAnewInEveryStep) {
  Process process;
  process.task.batches = [batch = process.task.batches(0)](std::int64_t) { return batch; };
  TrainOptions options = short_options();
  options.learning_rate = 1e-30;
  options.adamw.weight_decay = 0;
  process.run(options);
  EXPECT_NE(process.reports[0].loss, process.reports[1].loss);
}

TEST(Train, ChangesOnlyWhatItIsGiven) {
  Process process({}, tiny_config());
  process.model.blocks[0].mlp.modules[1].frozen = true;
  process.task.parameters = make_trainable(process.model, [](const ParameterRef& ref) {
    return ref.kind == Kind::mlp && ref.part == ParameterRef::Part::module;
  });
  process.run();
  Model before = tiny_model();
  const auto was = parameters(before), is = parameters(process.model);
  for (std::size_t i = 0; i < is.size(); ++i) {
    const bool module = is[i].part == ParameterRef::Part::module && is[i].kind == Kind::mlp;
    const bool frozen = is[i].layer == 0 && is[i].module == 1;
    EXPECT_EQ(is[i].tensor->equal(*was[i].tensor), !module || frozen) << is[i].name;
  }
}

TEST(Train, TakesTheBalanceLossOverTheWholeBatchOfAStep) {
  Process process({}, tiny_config());
  const Batch batch = process.task.batches(0);
  const Model before = clone(process.model);
  process.run();
  const auto balance = [&](const at::Tensor& inputs) {
    return balance_loss(before.config, forward(before, inputs).routing).item<double>();
  };
  EXPECT_NEAR(process.reports[0].balance, balance(batch.inputs), 1e-6);
  // The mean over parts is another number: the entropy of a mean is above the mean of entropies.
  const double parts = 0.5 * (balance(batch.inputs.narrow(0, 0, 2)) + balance(batch.inputs.narrow(0, 2, 2)));
  EXPECT_GT(parts, process.reports[0].balance + 1e-3);
}

TEST(Train, ConfinesDocumentsToPoolsOnlyWhereItIsToldTo) {
  const testing::ThreadCount count(2);
  const auto end = [](bool pools) {
    Process process;
    if (pools) process.task.pools = {2, 0.5, 60};
    process.run();
    return std::move(process.model);
  };
  const Model plain = end(false), pooled = end(true);
  EXPECT_FALSE(same_bits(plain, pooled));
  EXPECT_TRUE(same_bits(pooled, end(true)));
}

TEST(Train, StopsAtGradientsThatAreNotFinite) {
  Process process({}, tiny_config());
  process.task.extra_loss = [&](const ForwardOutput& output, const Batch&) {
    // √0: the loss is finite, its gradient is not.
    return (output.hidden * 0.0).sum().sqrt();
  };
  expect_error<Error>([&] { process.run(); }, "diverged");
  EXPECT_TRUE(same_bits(process.model, tiny_model()));
}

TEST(Train, ClipsTheGradientsAsOneVector) {
  TrainOptions options = short_options();
  options.steps = 1;
  options.warmup = 0;
  options.learning_rate = 1.0;
  options.adamw.epsilon = 1.0;  // gradients far smaller than this: the update is proportional to them
  options.adamw.weight_decay = 0;
  const auto change = [&](double clip) {
    Process process({}, tiny_config());
    options.clip = clip;
    process.run(options);
    return std::pair((process.model.wte - tiny_model().wte).norm().item<double>(), process.reports[0].gradient_norm);
  };
  const auto [free, norm] = change(0);
  const auto [clipped, same_norm] = change(norm / 100);
  EXPECT_EQ(norm, same_norm) << "the norm that is reported is the one before clipping";
  EXPECT_NEAR(change(norm / 1000).first / clipped, 0.1, 1e-3);
  EXPECT_LT(clipped, free / 50);
  EXPECT_EQ(change(2 * norm).first, free) << "smaller gradients are left alone";
}

TEST(Train, FollowsTheScheduleAndAsksForValidationWhenDue) {
  Process process;
  TrainOptions options = short_options();
  options.steps = 10;
  options.warmup = 0.2;
  options.eval_every = 4;
  process.hooks.validate = [] { return 1.5; };
  const TrainResult result = process.run(options);
  EXPECT_EQ(result.validation_loss, 1.5);
  EXPECT_DOUBLE_EQ(process.reports[0].learning_rate, 1.5e-3);
  EXPECT_DOUBLE_EQ(process.reports[1].learning_rate, 3e-3);
  EXPECT_LT(process.reports[9].learning_rate, 1e-3);
  for (const StepReport& report : process.reports) {
    EXPECT_EQ(report.validation_loss.has_value(), report.step == 4 || report.step == 8 || report.step == 10);
  }
}

TEST(Train, AddsTheBalanceLossOnlyWhereItIsAskedFor) {
  Process with({}, tiny_config()), without({}, tiny_config());
  without.task.balance = false;
  with.run();
  without.run();
  EXPECT_NE(with.reports[0].balance, 0.0);
  EXPECT_EQ(without.reports[0].balance, 0.0);
  EXPECT_EQ(with.reports[0].loss, without.reports[0].loss) << "loss is the cross-entropy alone";
  EXPECT_FALSE(same_bits(with.model, without.model));
}

TEST(Train, TakesBFloat16AndKeepsFloat32Weights) {
  Process process({}, tiny_config());
  TrainOptions options = short_options();
  options.bfloat16 = true;
  process.run(options);
  EXPECT_EQ(process.model.wte.scalar_type(), at::kFloat);
  EXPECT_LT(process.reports.back().loss, process.reports.front().loss);
}

TEST(Train, RefusesToTrainNothingAndOptionsOutOfRange) {
  Process process;
  process.task.parameters.clear();
  EXPECT_FALSE(expect_error<Error>([&] { process.run(); }, "nothing to train").empty());
  const auto refuse = [](const std::string& option, const std::function<void(TrainOptions&)>& change) {
    TrainOptions options;
    change(options);
    EXPECT_FALSE(expect_error<UsageError>([&] { options.validate(); }, option).empty());
  };
  const double nan = std::numeric_limits<double>::quiet_NaN();
  refuse("--steps", [](TrainOptions& o) { o.steps = 0; });
  refuse("--batch", [](TrainOptions& o) { o.batch_size = 0; });
  refuse("--context", [](TrainOptions& o) { o.context = -1; });
  refuse("--lr", [](TrainOptions& o) { o.learning_rate = 0; });
  refuse("--lr", [&](TrainOptions& o) { o.learning_rate = nan; });
  refuse("--warmup", [](TrainOptions& o) { o.warmup = 1.5; });
  refuse("--warmup", [&](TrainOptions& o) { o.warmup = nan; });
  refuse("--clip", [](TrainOptions& o) { o.clip = -1; });
  refuse("--weight-decay", [](TrainOptions& o) { o.adamw.weight_decay = -1; });
  refuse("--eval-every", [](TrainOptions& o) { o.eval_every = -1; });
}

}  // namespace
}  // namespace mformer
