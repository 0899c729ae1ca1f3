// Training and measuring by several processes, here threads with a model each.

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <mutex>

#include "core/training/evaluate.h"
#include "core/training/gradient_sums.h"
#include "tests/core/text/temporary_folder.h"
#include "tests/core/training/training_process.h"
#include "tests/support/expect_error.h"
#include "tests/support/process_threads.h"
#include "tests/support/threads.h"

namespace mformer {
namespace {

using Process = testing::TrainingProcess;
using testing::as_processes;
using testing::expect_error;
using testing::restless_config;
using testing::same_bits;
using testing::short_options;
using testing::tiny_config;

/// Losses of 12 steps of float32 sums in another order. Rounding is 1e-7 of a loss of 4, and some steps of Adam at a
/// rate of 3e-3 carry a difference on; what is wrong by a missing row or a wrong divisor is 1e-2 and more.
constexpr double kOtherOrder = 2e-4;

std::vector<double> losses_of(const std::vector<StepReport>& reports) {
  std::vector<double> all;
  for (const StepReport& report : reports) all.push_back(report.loss);
  for (const StepReport& report : reports) all.push_back(report.balance);
  return all;
}

struct Outcome {
  std::vector<double> losses;  ///< Of the first process.
  std::map<int, Model> models;
  TrainResult result;
};

using Prepare = std::function<void(Process&)>;

Outcome train_together(int size, const ModelConfig& config, const TrainOptions& options, const Prepare& prepare = {},
                       const std::filesystem::path& folder = {}) {
  Outcome outcome;
  std::mutex mutex;
  as_processes(size, [&](ProcessGroup& group) {
    const testing::ThreadCount count(1);
    Process process(folder, config);
    if (prepare) prepare(process);
    process.task.group = &group;
    const TrainResult result = process.run(options);
    const std::lock_guard lock(mutex);
    outcome.models.emplace(group.rank(), process.model);
    if (group.is_first()) outcome.losses = losses_of(process.reports), outcome.result = result;
  });
  return outcome;
}

std::vector<double> train_alone(const ModelConfig& config, const TrainOptions& options, const Prepare& prepare = {}) {
  Process process({}, config);
  if (prepare) prepare(process);
  process.run(options);
  return losses_of(process.reports);
}

void expect_near(const std::vector<double>& a, const std::vector<double>& b, const std::string& what) {
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], kOtherOrder) << what << ", number " << i;
}

TEST(TrainTogether, HasTheLossesOfOneProcess) {
  for (const BalanceLoss type : {BalanceLoss::mi, BalanceLoss::switch_transformer, BalanceLoss::joint}) {
    ModelConfig config = restless_config();  // draws at random: dropout everywhere, sampled modules
    config.aux_loss_type = type;
    config.aux_loss_weight = 0.1;
    TrainOptions options = short_options();
    options.steps = 6;
    const std::vector<double> alone = train_alone(config, options);
    for (const int size : type == BalanceLoss::mi ? std::vector<int>{1, 2, 3, 4} : std::vector<int>{3}) {
      expect_near(train_together(size, config, options).losses, alone, std::to_string(size));  // 3: unequal parts
    }
  }
}

TEST(TrainTogether, HasThemInStepsOfSeveralBatchesAndWithPools) {
  TrainOptions options = short_options();
  options.accumulate = 2;
  const auto pools = [](Process& process) { process.task.pools = {2, 0.5, 60}; };
  const std::vector<double> alone = train_alone(restless_config(), options, pools);
  expect_near(train_together(3, restless_config(), options, pools).losses, alone, "3");
}

TEST(TrainTogether, HasThemWithAConcentrationLoss) {
  const auto concentrate = [](Process& process) {
    process.task.balance = false;
    process.task.extra_loss = [](const ForwardOutput& output, const Batch& batch) {
      return concentration_loss(output.routing, 0.1, 0.5, batch.whole);
    };
  };
  const std::vector<double> alone = train_alone(tiny_config(), short_options(), concentrate);
  expect_near(train_together(4, tiny_config(), short_options(), concentrate).losses, alone, "4");
}

TEST(TrainTogether, GivesTheSameBitsOnEveryProcessAndInEveryRun) {
  const Outcome one = train_together(4, restless_config(), short_options());
  const Outcome other = train_together(4, restless_config(), short_options());
  EXPECT_EQ(one.losses, other.losses);
  for (const auto& [rank, model] : one.models) {
    EXPECT_TRUE(same_bits(model, one.models.at(0))) << rank;
    EXPECT_TRUE(same_bits(model, other.models.at(rank))) << rank;
  }
}

TEST(TrainTogether, SendsOnlyWhatIsTrained) {
  const auto trained = [](bool everything) {
    return [everything](Process& process) {
      process.task.balance = false;
      process.task.parameters = make_trainable(process.model, [&](const ParameterRef& ref) {
        return everything ||
               (ref.layer == 0 && ref.kind == Kind::mlp && ref.part == ParameterRef::Part::module && ref.module == 0);
      });
    };
  };
  std::int64_t weights = 0;
  Process counted({}, tiny_config());
  trained(false)(counted);
  for (const TrainedParameter& one : counted.task.parameters) weights += one.tensor.numel();
  const Outcome few = train_together(2, tiny_config(), short_options(), trained(false));
  const Outcome all = train_together(2, tiny_config(), short_options(), trained(true));
  // Of two processes each sends half of the gradients, then its half of the sums; and three numbers of 8 bytes.
  EXPECT_NEAR(few.result.sent_bytes_per_step, weights * 4 + 3 * 8, 16);
  EXPECT_GT(all.result.sent_bytes_per_step, 10 * few.result.sent_bytes_per_step);
  EXPECT_EQ(few.result.processes, 2);
}

TEST(TrainTogether, StopsTogetherAndGoesOnWithAnyNumber) {
  const TemporaryFolder folder;
  TrainOptions options = short_options();
  options.snapshot_every = 0;
  std::atomic<int> stopped{0};
  as_processes(4, [&](ProcessGroup& group) {
    Process process(folder.path());
    process.task.group = &group;
    process.hooks.should_stop = [&] { return group.rank() == 2 && process.reports.size() == 6; };
    try {
      process.run(options);
    } catch (const TrainingInterrupted& stop) {
      EXPECT_EQ(stop.step(), 7);
      ++stopped;
    }
  });
  EXPECT_EQ(stopped, 4);
  const auto rest = train_together(2, restless_config(), options, {}, folder.path());
  EXPECT_EQ(rest.result.first_step, 7);
  std::vector<double> whole = train_alone(restless_config(), options);
  EXPECT_NEAR(rest.losses.at(4), whole.at(11), kOtherOrder);  // the last step's
}

TEST(TrainTogether, KeepsTheLastWholeStepWhereAProcessIsLost) {
  const TemporaryFolder folder;
  TrainOptions options = short_options();
  options.snapshot_every = 0;
  testing::Mailboxes boxes;
  std::atomic<int> told{0};
  const auto work = [&](ProcessGroup& group) {
    Process process(folder.path());
    process.task.group = &group;
    process.task.before_step = [&](std::int64_t step) {
      if (group.rank() == 1 && step == 5) boxes.silence(1);
    };
    const std::string hint = expect_error<ProcessError>([&] { process.run(options); }, "step 5 of 12 is saved");
    EXPECT_NE(hint.find("any number of processes"), std::string::npos);
    ++told;
  };
  as_processes(3, work, boxes, {.timeout = 1.0});
  EXPECT_EQ(told, 3);
  Process alone(folder.path());
  EXPECT_EQ(alone.run(options).first_step, 5);
  EXPECT_NEAR(alone.reports.back().loss, train_alone(restless_config(), options).at(11), kOtherOrder);
}

TEST(TrainTogether, RefusesABatchOfFewerWindowsThanProcesses) {
  as_processes(5, [](ProcessGroup& group) {
    Process process;
    process.task.group = &group;
    const std::string hint = expect_error<UsageError>([&] { process.run(); }, "4 windows can't be split over 5");
    EXPECT_EQ(hint, "--batch 5, or start fewer processes");
  });
}

TEST(EvaluateTogether, HasTheBitsOfOneProcess) {
  const Model model = testing::tiny_model(tiny_config());
  for (const std::int64_t tokens : {100, 1000}) {  // one batch, of which most processes have none, and eleven
    const PackedWindows windows = testing::tiny_windows(tokens);
    const testing::ThreadCount count(1);
    const Evaluation alone = evaluate(model, windows);
    as_processes(4, [&](ProcessGroup& group) {
      const testing::ThreadCount one(1);
      EvaluateOptions options;
      options.group = &group;
      const Evaluation together = evaluate(model, windows, options);
      EXPECT_EQ(together.loss, alone.loss);
      EXPECT_EQ(together.tokens, alone.tokens);
    });
  }
}

TEST(EvaluateTogether, StopsTogether) {
  const Model model = testing::tiny_model(tiny_config());
  const PackedWindows windows = testing::tiny_windows();
  std::atomic<int> stopped{0};
  as_processes(3, [&](ProcessGroup& group) {
    EvaluateOptions options;
    options.group = &group;
    options.should_stop = [&] { return group.rank() == 1; };
    expect_error<EvaluationInterrupted>([&] { evaluate(model, windows, options); }, "interrupted");
    ++stopped;
  });
  EXPECT_EQ(stopped, 3);
}

}  // namespace
}  // namespace mformer
