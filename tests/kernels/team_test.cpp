// Threads that go through phases together.

#include "kernels/cpu/team.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/support/threads.h"

namespace mformer::kernels::cpu {
namespace {

using mformer::testing::ThreadCount;

TEST(Team, RunsEveryTaskOnceAndSeesAllOfThePhaseBefore) {
  constexpr int64_t kPhases = 400, kTasks = 37;
  for (const int threads : {1, 2, 3, 8}) {
    const ThreadCount count(threads);
    std::vector<int64_t> before(kTasks, 0), after(kTasks, 0);
    std::atomic<int64_t> wrong{0};
    with_team(kSerialOperations, [&](Team& team, int64_t thread) {
      for (int64_t phase = 0; phase < kPhases; ++phase) {
        auto& from = phase % 2 == 0 ? before : after;
        auto& to = phase % 2 == 0 ? after : before;
        team.phase(thread, kTasks, [&](int64_t i) {
          for (const int64_t value : from) wrong += value != phase;
          to[i] = from[i] + 1;
        });
      }
    });
    EXPECT_EQ(wrong, 0) << threads;
    EXPECT_EQ(before, std::vector<int64_t>(kTasks, kPhases)) << threads;
  }
}

TEST(Team, TakesFewerTasksThanThreads) {
  const ThreadCount count(3);
  std::vector<int> runs(2, 0);
  with_team(kSerialOperations, [&](Team& team, int64_t thread) {
    for (int phase = 0; phase < 50; ++phase) {
      team.phase(thread, 2, [&](int64_t i) { ++runs[i]; });
      team.phase(thread, 0, [&](int64_t) { FAIL(); });
    }
  });
  EXPECT_EQ(runs, std::vector<int>(2, 50));
}

TEST(Team, IsOneThreadForLittleWork) {
  const ThreadCount count(3);
  int calls = 0;
  with_team(kSerialOperations - 1, [&](Team&, int64_t thread) {
    EXPECT_EQ(thread, 0);
    ++calls;
  });
  EXPECT_EQ(calls, 1);
}

}  // namespace
}  // namespace mformer::kernels::cpu
