// What follows from a matrix of losses, against sums done by hand.

#include "core/workflows/matrix_figures.h"

#include <gtest/gtest.h>

namespace mformer {
namespace {

using Row = std::vector<std::optional<double>>;

constexpr double kRounding = 1e-12;  // decimal fractions have no exact double

/// Three tasks, learned one after another; a fourth that no step trained on.
ScoreMatrix three_steps() {
  ScoreMatrix matrix;
  matrix.steps.resize(3);
  matrix.tasks = {{"a", 0}, {"b", 1}, {"c", 2}, {"never", std::nullopt}};
  matrix.initial = VersionRecord{};
  matrix.initial_losses = {8.0, 9.0, 7.0, 6.0};
  matrix.losses = {{3.0, 8.5, 6.0, 5.0}, {4.0, 4.5, 6.5, 5.0}, {3.5, 5.5, 2.0, 5.5}};
  matrix.leak = {0.25, 0.75, 0.5, std::nullopt};
  matrix.routing_divergence = 0.125;
  return matrix;
}

std::optional<double> figure(const ScoreMatrix& matrix, const std::string& name) {
  for (const MatrixFigure& one : matrix_figures(matrix)) {
    if (one.name == name) return one.value;
  }
  ADD_FAILURE() << "there is no figure " << name;
  return std::nullopt;
}

TEST(MatrixFigures, AreTheSumsOfTheirFormulas) {
  const ScoreMatrix matrix = three_steps();
  EXPECT_NEAR(*figure(matrix, "average"), (3.5 + 5.5 + 2.0) / 3, kRounding);
  EXPECT_NEAR(*figure(matrix, "learning accuracy"), (3.0 + 4.5 + 2.0) / 3, kRounding);
  EXPECT_NEAR(*figure(matrix, "backward transfer"), (0.5 + 1.0) / 2, kRounding);
  EXPECT_NEAR(*figure(matrix, "forward transfer"), ((8.5 - 9.0) + (6.5 - 7.0)) / 2, kRounding);
  EXPECT_NEAR(*figure(matrix, "forgetting first-last"), (0.5 + 1.0) / 2, kRounding);
  EXPECT_NEAR(*figure(matrix, "forgetting max-last"), ((3.5 - 3.0) + (5.5 - 4.5)) / 2, kRounding);
  EXPECT_NEAR(*figure(matrix, "retention"), ((8.0 - 3.5) / 5.0 + (8.5 - 5.5) / 4.0) / 2, kRounding);
  EXPECT_NEAR(*figure(matrix, "router leak"), 0.5, kRounding);
  EXPECT_NEAR(*figure(matrix, "routing divergence"), 0.125, kRounding);
}

TEST(MatrixFigures, TellTheBestEarlierLossFromTheOneAfterLearning) {
  ScoreMatrix matrix = three_steps();
  matrix.losses[1][0] = 2.5;  // a became better while b was learned
  EXPECT_NEAR(*task_figures(matrix)[0].forgetting_first_last, 0.5, kRounding);
  EXPECT_NEAR(*task_figures(matrix)[0].forgetting_max_last, 1.0, kRounding);
}

TEST(MatrixFigures, HaveNothingToSayOfTasksThatNoStepTrainedOn) {
  const TaskFigures never = task_figures(three_steps())[3];
  EXPECT_EQ(never.last, 5.5);
  EXPECT_FALSE(never.after_learning || never.forward_transfer || never.forgetting_first_last || never.retention);
}

TEST(MatrixFigures, AreAbsentWhereALossThatTheyNeedIsNotKnown) {
  ScoreMatrix matrix = three_steps();
  matrix.losses[1][1].reset();  // b right after it was learned
  for (const char* name : {"learning accuracy", "backward transfer", "forgetting max-last", "retention"}) {
    EXPECT_FALSE(figure(matrix, name).has_value()) << name;
  }
  EXPECT_TRUE(figure(matrix, "average").has_value());
  EXPECT_TRUE(figure(matrix, "forward transfer").has_value());
}

TEST(MatrixFigures, LeaveOutATaskWithoutHeldOutText) {
  ScoreMatrix matrix = three_steps();
  for (Row& row : matrix.losses) row[1].reset();
  EXPECT_NEAR(*figure(matrix, "average"), (3.5 + 2.0) / 2, kRounding);
  EXPECT_NEAR(*figure(matrix, "backward transfer"), 0.5, kRounding);
}

TEST(MatrixFigures, SayNothingOfForgettingAfterOneStep) {
  ScoreMatrix matrix = three_steps();
  matrix.steps.resize(1), matrix.losses.resize(1);
  matrix.tasks = {{"a", 0}, {"b", std::nullopt}, {"c", std::nullopt}, {"never", std::nullopt}};
  EXPECT_EQ(figure(matrix, "average"), 3.0);
  for (const char* name :
       {"backward transfer", "forward transfer", "forgetting max-last", "retention", "router leak"}) {
    EXPECT_FALSE(figure(matrix, name).has_value()) << name;
  }
}

TEST(MatrixFigures, GiveNoRetentionOfATaskThatLearningDidNotImprove) {
  ScoreMatrix matrix = three_steps();
  matrix.losses[0][1] = 4.5;
  EXPECT_FALSE(task_figures(matrix)[1].retention.has_value());
}

}  // namespace
}  // namespace mformer
