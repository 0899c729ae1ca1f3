// Training: the same losses with or without a cut, a stop at the last good state, the log of a run.

#include "core/training/trainer.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "core/training/metrics.h"
#include "core/training/snapshot.h"
#include "tests/core/text/temporary_folder.h"
#include "tests/support/expect_error.h"
#include "tests/support/threads.h"
#include "tests/support/tiny_data.h"

namespace mformer {
namespace {

using testing::expect_error;
using testing::same_bits;
using testing::tiny_config;
using testing::tiny_model;
using testing::tiny_windows;

/// Everything that draws random numbers: dropout in all places, sampled modules.
ModelConfig restless_config() {
  ModelConfig config = tiny_config();
  config.sample_topk = 1;
  config.resid_pdrop = config.embd_pdrop = config.moe_pdrop = 0.1;
  return config;
}

TrainOptions short_options() {
  TrainOptions options;
  options.steps = 12;
  options.batch_size = 4;
  options.learning_rate = 3e-3;
  options.seed = 9;
  options.snapshot_every = 5;
  return options;
}

/// One process: a model and a task of its own, from the same beginning.
struct Process {
  explicit Process(const std::filesystem::path& folder = {}, const ModelConfig& config = restless_config())
      : model(tiny_model(config)) {
    task.model = &model;
    task.parameters = make_trainable(model, [](const ParameterRef&) { return true; });
    task.batches = shuffled_batches(tiny_windows(), 9, 4);
    task.run_folder = folder;
    hooks.on_step = [this](const StepReport& report) { reports.push_back(report); };
  }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  TrainResult run(const TrainOptions& options = short_options()) { return train(task, options, hooks); }

  Model model;
  TrainTask task;
  TrainHooks hooks;
  std::vector<StepReport> reports;
};

std::vector<nlohmann::json> metrics_of(const std::filesystem::path& folder) {
  std::ifstream file(folder / "metrics.jsonl");
  std::vector<nlohmann::json> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(nlohmann::json::parse(line));
  return lines;
}

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

class ResumedTraining : public ::testing::TestWithParam<std::int64_t> {};

TEST_P(ResumedTraining, GoesOnBitForBitAfterAnInterruption) {
  const TemporaryFolder folder;
  Process whole;
  whole.run();
  {
    Process cut(folder.path());
    cut.hooks.should_stop = [&] { return static_cast<std::int64_t>(cut.reports.size()) == GetParam(); };
    try {
      cut.run();
      FAIL() << "was not interrupted";
    } catch (const TrainingInterrupted& e) {
      EXPECT_EQ(e.step(), GetParam());
      EXPECT_THAT(e.hint(), ::testing::HasSubstr("--restart"));
    }
  }
  Process rest(folder.path());
  EXPECT_EQ(rest.run().first_step, GetParam());
  ASSERT_EQ(rest.reports.size(), whole.reports.size() - GetParam());
  for (std::size_t i = 0; i < rest.reports.size(); ++i) {
    EXPECT_EQ(rest.reports[i].loss, whole.reports[GetParam() + i].loss);
    EXPECT_EQ(rest.reports[i].step, whole.reports[GetParam() + i].step);
  }
  EXPECT_TRUE(same_bits(rest.model, whole.model));
}

INSTANTIATE_TEST_SUITE_P(Steps, ResumedTraining, ::testing::Values(1, 5, 11));

/// Stands for a kill: nothing is saved on the way out.
struct Killed {};

TEST(ResumedAfterAKill, GoesOnFromTheLastSnapshotBitForBit) {
  const TemporaryFolder folder;
  Process whole;
  whole.run();
  {
    Process killed(folder.path());
    killed.hooks.on_step = [](const StepReport& report) {
      if (report.step == 8) throw Killed();
    };
    EXPECT_THROW(killed.run(), Killed);
  }
  EXPECT_EQ(metrics_of(folder.path()).size(), 8U);
  Process rest(folder.path());
  EXPECT_EQ(rest.run().first_step, 5) << "the snapshot of step 5";
  EXPECT_TRUE(same_bits(rest.model, whole.model));
  const auto metrics = metrics_of(folder.path());
  ASSERT_EQ(metrics.size(), 12U) << "the lost steps 6 to 8 must not appear twice";
  for (std::size_t i = 0; i < metrics.size(); ++i) {
    EXPECT_EQ(metrics[i]["step"], i + 1);
    EXPECT_EQ(metrics[i]["loss"].get<double>(), whole.reports[i].loss) << i;
  }
}

TEST(Train, StopsAtALossThatIsNotFiniteAndKeepsTheLastGoodState) {
  const TemporaryFolder folder;
  Process whole;
  TrainOptions six = short_options();
  whole.hooks.should_stop = [&] { return whole.reports.size() == 6; };
  EXPECT_THROW(whole.run(six), TrainingInterrupted);

  Process diverging(folder.path());
  diverging.task.extra_loss = [&](const ForwardOutput& output, const Batch&) {
    const bool last = diverging.reports.size() == 6;
    return output.hidden.sum() * (last ? std::numeric_limits<double>::quiet_NaN() : 0.0);
  };
  const std::string hint = expect_error<Error>([&] { diverging.run(); }, "diverged");
  EXPECT_THAT(hint, ::testing::HasSubstr("--lr"));
  EXPECT_TRUE(same_bits(diverging.model, whole.model)) << "the bad step must not be taken";
  Process saved;
  AdamW optimizer(saved.task.parameters, {});
  EXPECT_EQ(load_snapshot(folder.path(), optimizer), 6);
  EXPECT_TRUE(same_bits(saved.model, whole.model));
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

TEST(Snapshot, IsRefusedWhenItBelongsToAnotherRunOrIsDamaged) {
  const TemporaryFolder folder;
  Process process;
  AdamW optimizer(process.task.parameters, {});
  EXPECT_EQ(load_snapshot(folder.path(), optimizer), std::nullopt);
  save_snapshot(folder.path(), optimizer);

  auto fewer = process.task.parameters;
  fewer.pop_back();
  AdamW other(fewer, {});
  expect_error<Error>([&] { load_snapshot(folder.path(), other); }, "belongs to another run");

  ModelConfig wider = restless_config();
  wider.ffd_hidden = 13;
  Process wide({}, wider);
  AdamW misfit(wide.task.parameters, {});
  expect_error<Error>([&] { load_snapshot(folder.path(), misfit); }, "does not fit this run");

  std::filesystem::resize_file(folder / "snapshot.safetensors", 1000);
  EXPECT_THROW(load_snapshot(folder.path(), optimizer), Error);
}

TEST(MetricsLog, DropsAHalfWrittenLineAndStepsAfterTheSnapshot) {
  const TemporaryFolder folder;
  folder.write("metrics.jsonl", "{\"step\":1}\n{\"step\":2}\n{\"step\":3}\n{\"st");
  MetricsLog log(folder.path(), 2);
  StepReport report;
  report.step = 3;
  report.validation_loss = 1.25;
  log.write(report);
  const auto lines = metrics_of(folder.path());
  ASSERT_EQ(lines.size(), 3U);
  EXPECT_EQ(lines[2]["step"], 3);
  EXPECT_EQ(lines[2]["validation_loss"], 1.25);
  EXPECT_FALSE(lines[1].contains("validation_loss"));
}

}  // namespace
}  // namespace mformer
