// The matrix of losses along a lineage: its steps, its columns, and what is taken from the registry.

#include "core/workflows/score_matrix.h"

#include <gtest/gtest.h>

#include "core/workflows/extend.h"
#include "core/workflows/freeze.h"
#include "core/history/lineage.h"
#include "tests/support/expect_error.h"
#include "tests/support/tiny_workspace.h"

namespace mformer {
namespace {

using testing::expect_error;
using testing::TinyWorkspace;

class ScoreMatrixTest : public ::testing::Test {
 protected:
  template <typename Command>
  Command short_command(const std::string& task) const {
    Command command;
    command.task = task;
    command.data = workspace_.corpus(task);
    command.eval_tokens = 200;
    command.options.steps = 2;
    command.options.batch_size = 2;
    return command;
  }
  void train(const std::string& task) {
    Session session = workspace_.session("train");
    pretrain(session, workspace_.load(), short_command<PretrainCommand>(task));
  }
  void grow(const std::string& task) {
    Session session = workspace_.session("extend");
    ExtendCommand command = short_command<ExtendCommand>(task);
    command.single_mask = true;  // so that the old task may leak
    command.rehearse = 0;
    command.experts = command.heads = 1;
    extend(session, workspace_.load(), command);
  }
  ScoreMatrix matrix(MatrixCommand command, bool keep = true) {
    Session session = workspace_.session("eval");
    command.max_tokens = 200;
    return score_matrix(session, workspace_.registry().resolve(""), command, keep);
  }

  TinyWorkspace workspace_;
};

TEST_F(ScoreMatrixTest, HasARowForEachStepThatTrainedAndAColumnForEachTaskInTheOrderOfLearning) {
  workspace_.add_task("qa", workspace_.corpus("qa"));
  train("german");
  Session session = workspace_.session("freeze");
  set_frozen(session, workspace_.registry().resolve(""), "base", "layer=0", true, false);
  grow("english");
  const ScoreMatrix result = matrix({});
  ASSERT_EQ(result.steps.size(), 2U);
  EXPECT_EQ(to_string(result.steps[0].version), "base@2");
  EXPECT_EQ(to_string(result.steps[1].version), "base@4");
  EXPECT_EQ(result.steps[1].command, "extend");
  EXPECT_EQ(to_string(*result.initial), "base@1");
  ASSERT_EQ(result.tasks.size(), 3U);
  EXPECT_EQ(result.tasks[0].name, "german");
  EXPECT_EQ(result.tasks[1].name, "english");
  EXPECT_EQ(result.tasks[2].learned, std::nullopt);
  EXPECT_EQ(tasks_trained_until(workspace_.registry(), workspace_.registry().resolve("")),
            (std::vector<std::string>{"german", "english"}));
}

TEST_F(ScoreMatrixTest, HoldsWhatEvaluatingEachVersionGives) {
  train("german");
  grow("english");
  const ScoreMatrix result = matrix({});
  Session session = workspace_.session("eval");
  for (std::size_t i = 0; i < 2; ++i) {
    const LoadedVersion version = workspace_.load("base@" + std::to_string(i + 2));
    for (std::size_t j = 0; j < 2; ++j) {
      const TaskData task = open_task(session, TinyWorkspace::tokenizer(), result.tasks[j].name, "");
      EXPECT_EQ(result.losses[i][j], evaluate_task(session, version.model, task, Split::held_out, 200)->loss);
    }
  }
  EXPECT_TRUE(result.leak[0].has_value() && *result.leak[0] > 0 && *result.leak[0] < 1);
  EXPECT_TRUE(result.routing_divergence.has_value());
}

TEST_F(ScoreMatrixTest, MeasuresOnlyWhatTheRegistryLacksAndOnlyIfItMay) {
  train("german");
  grow("english");
  MatrixCommand known;
  known.measure = false;
  const ScoreMatrix before = matrix(known);
  // The first step could not know the later task; every other loss stood in a report.
  EXPECT_TRUE(before.losses[0][0] && before.losses[1][0] && before.losses[1][1]);
  EXPECT_FALSE(before.initial_losses[1].has_value());
  const auto scores = [&] { return workspace_.registry().scores().size(); };
  const std::size_t count = scores();
  const ScoreMatrix measured = matrix({}, /*keep=*/false);
  EXPECT_TRUE(measured.initial_losses[1].has_value());
  EXPECT_EQ(scores(), count);
  EXPECT_EQ(matrix({}).initial_losses, measured.initial_losses);
  EXPECT_EQ(scores(), count + 1);
  EXPECT_EQ(matrix(known).initial_losses, measured.initial_losses);
}

TEST_F(ScoreMatrixTest, EndsWithTheVersionItselfWhateverMadeIt) {
  train("german");
  Session session = workspace_.session("freeze");
  set_frozen(session, workspace_.registry().resolve(""), "base", "layer=0", true, false);
  const ScoreMatrix result = matrix({});
  ASSERT_EQ(result.steps.size(), 2U);
  EXPECT_EQ(result.steps[1].command, "freeze");
  EXPECT_TRUE(result.steps[1].tasks.empty());
  EXPECT_EQ(task_figures(result)[0].forgetting_first_last, 0.0);
}

TEST_F(ScoreMatrixTest, IsRefusedWithoutAnyTrainingAndForUnknownTasks) {
  EXPECT_FALSE(expect_error<Error>([&] { matrix({}); }, "no version in the lineage of base@1").empty());
  train("german");
  MatrixCommand command;
  command.tasks = {"germ"};
  expect_error<UsageError>([&] { matrix(command); }, "germ");
}

TEST_F(ScoreMatrixTest, SaysWhichTaskItCannotMeasure) {
  const TaskData task = workspace_.add_task("qa", workspace_.corpus("qa"));
  train("german");
  std::filesystem::remove(task.record.data_path);
  std::filesystem::remove_all(workspace_.registry().folder() / "cache");  // its tokens would do as well
  Session session = workspace_.session("eval");
  std::string said;
  session.watcher.message = [&](const std::string& text) { said += text + "\n"; };
  const ScoreMatrix result = score_matrix(session, workspace_.registry().resolve(""), {}, false);
  EXPECT_NE(said.find("task 'qa' can't be measured"), std::string::npos) << said;
  EXPECT_FALSE(result.losses[0][1].has_value());
  EXPECT_TRUE(result.losses[0][0].has_value());
}

}  // namespace
}  // namespace mformer
