#include "cli/interrupt.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>

namespace mformer::cli {
namespace {

// Death tests run in a child, so that the handlers stay out of the test program.

TEST(InterruptDeathTest, TheFirstSignalOnlySetsTheFlag) {
  EXPECT_EXIT(
      {
        install_signal_handlers();
        if (interrupted()) _exit(1);
        std::raise(SIGINT);
        _exit(interrupted() && interrupt_exit_code() == 130 ? 0 : 2);
      },
      testing::ExitedWithCode(0), "");
}

TEST(InterruptDeathTest, TheSecondSignalEndsTheProcess) {
  EXPECT_EXIT(
      {
        install_signal_handlers();
        std::raise(SIGINT);
        usleep(600'000);
        std::raise(SIGINT);
        _exit(0);
      },
      testing::ExitedWithCode(130), "\n");
}

TEST(InterruptDeathTest, SignalsThatComeTogetherAreOneRequest) {
  EXPECT_EXIT(
      {
        install_signal_handlers();
        std::raise(SIGTERM);
        std::raise(SIGTERM);
        std::raise(SIGINT);
        _exit(interrupted() && interrupt_exit_code() == 143 ? 0 : 2);
      },
      testing::ExitedWithCode(0), "");
}

TEST(InterruptDeathTest, TerminationCountsLikeCtrlC) {
  EXPECT_EXIT(
      {
        install_signal_handlers();
        std::raise(SIGTERM);
        _exit(interrupted() ? interrupt_exit_code() : 0);
      },
      testing::ExitedWithCode(143), "");
}

TEST(InterruptDeathTest, WhereNobodyLooksAtTheFlagASignalEndsTheProcessAndAnIgnoredHangUpDoesNot) {
  EXPECT_EXIT(
      {
        std::signal(SIGHUP, SIG_IGN);
        install_signal_handlers();
        let_signals_end_the_process();
        std::raise(SIGHUP);
        std::raise(SIGTERM);
        _exit(0);
      },
      testing::KilledBySignal(SIGTERM), "");
}

TEST(InterruptDeathTest, AClosedPipeDoesNotKill) {
  EXPECT_EXIT(
      {
        install_signal_handlers();
        int ends[2];
        if (pipe(ends) != 0) _exit(1);
        close(ends[0]);
        _exit(write(ends[1], "x", 1) == -1 ? 0 : 2);
      },
      testing::ExitedWithCode(0), "");
}

TEST(InterruptTest, ClearForgetsTheSignal) {
  clear_interrupt();
  EXPECT_FALSE(interrupted());
  EXPECT_EQ(interrupt_exit_code(), 130);
}

}  // namespace
}  // namespace mformer::cli
