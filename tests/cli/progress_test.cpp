#include "cli/terminal/progress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

#include "cli/terminal/stages.h"

namespace mformer::terminal {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;

// A clock that the test moves.
class ProgressTest : public testing::Test {
 protected:
  ProgressOptions options(bool terminal, bool quiet = false) {
    ProgressOptions result;
    result.style.terminal = terminal;
    result.quiet = quiet;
    result.out = &out_;
    result.now = [this] { return time_; };
    return result;
  }
  ptrdiff_t lines() const {
    const std::string text = out_.str();
    return std::count(text.begin(), text.end(), '\n');
  }
  ptrdiff_t redraws() const {
    const std::string text = out_.str();
    return std::count(text.begin(), text.end(), '\r');
  }

  std::ostringstream out_;
  double time_ = 100;
};

TEST_F(ProgressTest, PlainLineSaysEverythingKnown) {
  Progress progress("train", 200, options(false));
  progress.update(0);
  out_.str("");
  time_ += 10;
  progress.update(50, 3.21449, 1310);
  EXPECT_EQ(out_.str(), "train:  25 %  1.31 k tokens/s  loss 3.2145  30 s left\n");
}

TEST_F(ProgressTest, PlainLinesComeEveryTenPercent) {
  Progress progress("train", 1000, options(false));
  time_ += 5;
  for (int done = 0; done <= 1000; ++done) progress.update(done);
  EXPECT_EQ(lines(), 11);  // 0 %, 10 %, … 100 %
}

TEST_F(ProgressTest, PlainLinesComeEveryTenSecondsOfASlowRun) {
  Progress progress("train", 1000000, options(false));
  for (int second = 0; second <= 60; ++second, ++time_) progress.update(second);
  EXPECT_EQ(lines(), 6);  // after 1, 11, … 51 seconds
}

TEST_F(ProgressTest, AStageUnderASecondGetsNoPlainLine) {
  Progress progress("tokenise", 100, options(false));
  for (int done = 0; done <= 100; ++done, time_ += 0.0098) progress.update(done);
  progress.finish();
  EXPECT_EQ(out_.str(), "");
}

TEST_F(ProgressTest, ALongerStageGetsItsFirstLineWhenASecondIsOver) {
  Progress progress("tokenise", 100, options(false));
  for (int done = 0; done <= 100; ++done, time_ += 0.0109) progress.update(done);
  progress.finish();
  EXPECT_THAT(out_.str(), testing::StartsWith("tokenise:  92 %"));
  EXPECT_THAT(out_.str(), EndsWith("tokenise: done in 1.1 s\n"));
}

TEST_F(ProgressTest, PlainLinesHaveNoControlCharacters) {
  {
    Progress progress("train", 10, options(false));
    for (int done = 0; done <= 10; ++done, ++time_) progress.update(done, 1.0, 1.0);
    progress.message("a message");
    progress.finish();
  }
  EXPECT_THAT(out_.str(), Not(HasSubstr("\r")));
  EXPECT_THAT(out_.str(), Not(HasSubstr("\x1b")));
}

TEST_F(ProgressTest, NamesCannotSpeakToTheTerminal) {
  Progress progress("read \x1b]0;t\a\xC2\x9B", 10, options(false));
  progress.update(1);
  time_ += 20;
  progress.update(5);
  progress.message("\x1b[2J of \u202E");
  progress.finish();
  EXPECT_THAT(out_.str(), Not(HasSubstr("\x1b")));
  EXPECT_THAT(out_.str(), HasSubstr("read \\x1b]0;t\\x07\\x9b"));
  EXPECT_THAT(out_.str(), HasSubstr("\\x1b[2J of \\u202e\n"));
}

TEST_F(ProgressTest, QuietShowsNothing) {
  for (const bool terminal : {false, true}) {
    Progress progress("train", 10, options(terminal, true));
    progress.update(5, 1.0, 1.0);
    progress.message("a message");
    progress.finish();
  }
  EXPECT_EQ(out_.str(), "");
}

TEST_F(ProgressTest, BarIsRedrawnInPlaceAtMostTenTimesASecond) {
  Progress progress("train", 1000, options(true));
  for (int step = 0; step < 1000; ++step, time_ += 0.001) progress.update(step);
  EXPECT_EQ(lines(), 0);
  EXPECT_GE(redraws(), 9);
  EXPECT_LE(redraws(), 10);
}

TEST_F(ProgressTest, BarFitsTheWindow) {
  ProgressOptions narrow = options(true);
  narrow.style.width = 40;
  Progress progress("a rather long label", 10, narrow);
  progress.update(5, 3.2, 1310);
  EXPECT_EQ(out_.str(), "\ra rather long label  50 %  1.31 k to...\x1b[K");
}

TEST_F(ProgressTest, BarGrowsWithTheWork) {
  ProgressOptions style = options(true);
  style.style.width = 40;
  Progress progress("eval", 10, style);
  progress.update(5);
  EXPECT_EQ(out_.str(), "\reval  [============>            ]  50 %\x1b[K");
}

TEST_F(ProgressTest, MessageGetsALineOfItsOwn) {
  Progress progress("train", 10, options(true));
  progress.update(5);
  out_.str("");
  progress.message("held-out loss 3.1");
  EXPECT_THAT(out_.str(), testing::StartsWith("\r\x1b[Kheld-out loss 3.1\n\rtrain"));
}

TEST_F(ProgressTest, AnErrorThatUnwindsFindsACleanLine) {
  try {
    Progress progress("train", 10, options(true));
    progress.update(5);
    throw 1;
  } catch (int) {
  }
  EXPECT_THAT(out_.str(), EndsWith("\r\x1b[K"));
}

TEST_F(ProgressTest, FinishSummarisesOnce) {
  Progress progress("train", 10, options(true));
  time_ += 80;
  progress.update(10, 3.2, 1310);
  progress.finish();
  progress.finish();
  progress.update(10);
  progress.message("late");
  EXPECT_THAT(out_.str(), EndsWith("\r\x1b[Ktrain: done in 1 min 20 s, 1.31 k tokens/s, loss 3.2000\n"));
}

TEST_F(ProgressTest, AResumedRunDoesNotCountTheStepsBeforeIt) {
  Progress progress("train", 1000, options(false));
  progress.update(900);
  time_ += 10;
  progress.update(910);
  EXPECT_THAT(out_.str(), HasSubstr("1 min 30 s left"));
}

TEST_F(ProgressTest, WithoutATotalItCounts) {
  Progress progress("read", 0, options(true));
  progress.update(12345);
  EXPECT_EQ(out_.str(), "\rread  12,345\x1b[K");
}

TEST_F(ProgressTest, MoreThanTheTotalIsStillAWholeBar) {
  Progress progress("read", 10, options(true));
  progress.update(25);
  EXPECT_THAT(out_.str(), HasSubstr("100 %"));
}

using StagesTest = ProgressTest;

TEST_F(StagesTest, ValidationDoesNotRestartTheClockOfATraining) {
  Stages stages(options(false));
  for (int step = 1; step <= 4; ++step) {
    time_ += 20;
    stages.update("train", step - 1, 4);
    for (int done = 0; done <= 2; ++done, time_ += 2.5) stages.update("evaluate german", done, 2);
    stages.update("train", step, 4);
  }
  stages.update("evaluate german", 0, 2);
  EXPECT_THAT(out_.str(), HasSubstr("train: done in 1 min 30 s\n"));  // the first 20 s were before its first step
  EXPECT_EQ(out_.str().find("train: done"), out_.str().rfind("train: done"));
  EXPECT_THAT(out_.str(), HasSubstr("evaluate german: done in 5.0 s\n"));
}

TEST_F(StagesTest, AStageOfTheSameNameBeginsAnewWhenTheFirstHasEnded) {
  Stages stages(options(false));
  stages.update("evaluate", 0, 2);
  time_ += 60;
  stages.update("evaluate", 2, 2);
  stages.update("train", 0, 2);
  time_ += 3;
  stages.update("train", 2, 2);
  stages.update("evaluate", 0, 2);
  time_ += 5;
  stages.update("evaluate", 2, 2);
  stages.update("other", 0, 2);
  EXPECT_THAT(out_.str(), EndsWith("evaluate: done in 5.0 s\n"));
}

TEST_F(StagesTest, WhatIsDoneBeforeTheNextStageSpeaksIsNoTimeOfTheOneThatEnded) {
  Stages stages(options(false));
  stages.update("tokenise qa", 0, 2);
  time_ += 2;
  stages.update("tokenise qa", 2, 2);
  time_ += 14;
  stages.update("evaluate qa", 0, 2);
  EXPECT_THAT(out_.str(), EndsWith("tokenise qa: done in 2.0 s\n"));
}

TEST_F(StagesTest, ABarIsTakenAwayForAnotherAndComesBack) {
  {
    Stages stages(options(true));
    stages.update("train", 1, 4);
    stages.update("evaluate", 1, 2);
    EXPECT_THAT(out_.str(), HasSubstr("\r\x1b[K\revaluate"));
    stages.message("a message");
    EXPECT_THAT(out_.str(), HasSubstr("\r\x1b[Ka message\n\revaluate"));
    time_ += 1;
    stages.update("train", 2, 4);
    EXPECT_THAT(out_.str(), HasSubstr("\r\x1b[K\rtrain"));
    stages.end();
  }
  EXPECT_THAT(out_.str(), EndsWith("\r\x1b[K"));
  EXPECT_EQ(lines(), 1);
}

TEST_F(StagesTest, WhatIsPlannedIsNumbered) {
  Stages stages(options(true));
  stages.plan({"tokenise qa", "train", "evaluate qa"});
  stages.update("tokenise qa", 0, 2);
  EXPECT_THAT(out_.str(), HasSubstr("\r[1/3] tokenise qa"));
  stages.update("train", 0, 2);
  EXPECT_THAT(out_.str(), HasSubstr("\r[2/3] train"));
  stages.update("validate qa", 0, 2);  // a part of the training
  EXPECT_THAT(out_.str(), HasSubstr("\r[2/3] validate qa"));
  out_.str("");
  stages.update("train", 1, 2);
  stages.update("evaluate qa", 0, 2);
  EXPECT_THAT(out_.str(), HasSubstr("\r[3/3] evaluate qa"));
}

TEST_F(StagesTest, ANeedlessStageIsNotCounted) {
  Stages stages(options(true));
  stages.plan({"tokenise qa", "evaluate qa", "train", "evaluate qa", "routing of qa"});
  stages.update("train", 0, 2);
  EXPECT_THAT(out_.str(), HasSubstr("\r[1/3] train"));
  stages.update("evaluate qa", 0, 2);
  EXPECT_THAT(out_.str(), HasSubstr("\r[2/3] evaluate qa"));
}

TEST_F(StagesTest, APlanMayBecomeShorterOnTheWay) {
  Stages stages(options(true));
  stages.plan({"routing of qa", "validate qa", "validate qa", "validate qa"});
  stages.update("routing of qa", 0, 1);
  EXPECT_THAT(out_.str(), HasSubstr("[1/4] routing of qa"));
  stages.plan({"validate qa"});
  stages.update("validate qa", 0, 1);
  EXPECT_THAT(out_.str(), HasSubstr("[2/2] validate qa"));
}

TEST_F(StagesTest, ASingleStageHasNoNumber) {
  Stages stages(options(true));
  stages.plan({"evaluate qa"});
  stages.update("evaluate qa", 0, 2);
  EXPECT_THAT(out_.str(), testing::StartsWith("\revaluate qa"));
}

TEST_F(StagesTest, AStageUnderASecondLeavesNoLineOnATerminalEither) {
  Stages stages(options(true));
  stages.update("tokenise qa", 0, 2);
  time_ += 0.5;
  stages.update("tokenise qa", 2, 2);
  stages.update("train", 0, 2);
  EXPECT_EQ(lines(), 0);
}

TEST_F(StagesTest, AMessageNeedsNoStage) {
  Stages(options(false)).message("a message");
  EXPECT_EQ(out_.str(), "a message\n");
}

}  // namespace
}  // namespace mformer::terminal
