// A run that is cut goes on as if it had not been; what a run leaves on disk.

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>
#include <random>

#include "core/formats/safetensors.h"
#include "core/training/evaluate.h"
#include "core/training/metrics.h"
#include "core/training/snapshot.h"
#include "modules_registry/files.h"
#include "tests/core/text/temporary_folder.h"
#include "tests/core/training/training_process.h"
#include "tests/support/expect_error.h"

namespace mformer {
namespace {

using Process = testing::TrainingProcess;
using testing::expect_error;
using testing::restless_config;
using testing::same_bits;
using testing::short_options;

std::vector<nlohmann::json> metrics_of(const std::filesystem::path& folder) {
  std::ifstream file(folder / "metrics.jsonl");
  std::vector<nlohmann::json> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(nlohmann::json::parse(line));
  return lines;
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

TEST(ResumedLoss, MeansTheLossOverTheStepsOfEarlierProcessesToo) {
  const TemporaryFolder folder;
  TrainOptions options = short_options();
  options.steps = 30;  // the last tenth: 28, 29, 30
  Process whole, cut(folder.path()), rest(folder.path());
  const double loss = whole.run(options).loss;
  cut.hooks.should_stop = [&] { return cut.reports.size() == 29; };
  EXPECT_THROW(cut.run(options), TrainingInterrupted);
  EXPECT_EQ(rest.run(options).loss, loss);
  EXPECT_NEAR(loss, (whole.reports[27].loss + whole.reports[28].loss + whole.reports[29].loss) / 3, 1e-12);
}

TEST(ResumedValidation, IsMadeUpForWhereItWasCutOff) {
  TrainOptions options = short_options();  // 12 steps
  options.eval_every = 4;
  const auto validating = [](Process& process, std::int64_t cut_at = 0) {
    process.hooks.validate = [&process, cut_at] {
      const auto step = static_cast<std::int64_t>(process.reports.size()) + 1;
      if (step == cut_at) throw EvaluationInterrupted("stopped");
      return process.model.wte.sum().item<double>();  // of the weights, which the next step changes
    };
  };
  const TemporaryFolder whole_folder;
  Process whole(whole_folder.path());
  validating(whole);
  const TrainResult expected = whole.run(options);
  ASSERT_TRUE(expected.validation_loss.has_value());
  for (const std::int64_t cut_at : {4, 12}) {
    const TemporaryFolder folder;
    Process cut(folder.path()), cut_again(folder.path()), rest(folder.path());
    validating(cut, cut_at);
    EXPECT_THROW(cut.run(options), TrainingInterrupted);
    validating(cut_again, 1);  // its first validation is the one that is made up for
    EXPECT_THROW(cut_again.run(options), TrainingInterrupted);
    validating(rest);
    const TrainResult result = rest.run(options);
    EXPECT_EQ(result.loss, expected.loss);
    EXPECT_EQ(result.validation_loss, expected.validation_loss);
    EXPECT_TRUE(same_bits(rest.model, whole.model));
    auto lines = metrics_of(folder.path()), expected_lines = metrics_of(whole_folder.path());
    ASSERT_EQ(lines.size(), expected_lines.size());
    for (std::size_t i = 0; i < lines.size(); ++i) {
      lines[i].erase("tokens_per_second"), expected_lines[i].erase("tokens_per_second");
      EXPECT_EQ(lines[i], expected_lines[i]) << cut_at;
    }
  }
}

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

  const auto path = folder / "snapshot.safetensors";
  const std::string whole = read_file(path);
  std::mt19937 random(20261128);
  for (int flip = 0; flip < 200; ++flip) {
    std::string bytes = whole;
    const std::size_t at = std::uniform_int_distribution<std::size_t>(0, bytes.size() - 1)(random);
    bytes[at] = static_cast<char>(bytes[at] ^ 1 << flip % 8);
    write_file_atomically(path, as_bytes(bytes));
    const std::string hint = expect_error<Error>([&] { load_snapshot(folder.path(), optimizer); }, "is damaged");
    ASSERT_THAT(hint, ::testing::HasSubstr("--restart")) << "byte " << at;
  }
  for (const std::size_t size : {std::size_t{0}, std::size_t{7}, std::size_t{1000}, whole.size() - 1}) {
    write_file_atomically(path, as_bytes(whole.substr(0, size)));
    expect_error<Error>([&] { load_snapshot(folder.path(), optimizer); }, "is damaged");
  }
  write_file_atomically(path, as_bytes(whole));
  EXPECT_EQ(load_snapshot(folder.path(), optimizer), 0);
}

TEST(Snapshot, ANumberOfStepsThatIsNoneIsDamageThoughItsChecksumFits) {
  const TemporaryFolder folder;
  AdamW nothing({}, {});
  const auto write = [&](const std::string& steps) {
    const std::string checksum = sha256_hex(std::to_string(steps.size()) + " " + steps);
    write_safetensors(folder / "snapshot.safetensors", std::vector<TensorToWrite>(),
                      {{"steps", steps}, {"sha256", checksum}});
  };
  for (const char* steps : {"", "many", "-1", "3x", " 3", "99999999999999999999"}) {
    write(steps);
    expect_error<Error>([&] { load_snapshot(folder.path(), nothing); }, "its number of steps is none");
  }
  write("3");
  EXPECT_EQ(load_snapshot(folder.path(), nothing), 3);
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
