#include <gmock/gmock.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <random>
#include <thread>

#include "registry_fixture.h"

namespace mformer::testing {
namespace {

using ::testing::IsEmpty;

class CrashTest : public ::testing::Test {
 protected:
  TemporaryFolder folder_;
};

/// Extends and tunes the model "base" until killed. Each version's object "wte" is new, so
/// that bytes are always on the way. Writes a byte to `committed` after each.
[[noreturn]] void write_forever(const std::filesystem::path& dir, int committed) {
  Registry registry = Registry::open(dir, OpenMode::read_write);
  while (true) {
    Commit commit = next_commit(registry, "base");
    const std::string text = random_uid() + std::string(20'000, 'w');
    commit.manifest.parts[0].object_hash = registry.objects().put(as_bytes(text));
    if (commit.manifest.layers[0].mlp.size() < 8) add_modules(registry, commit, random_uid());
    commit_now(registry, commit);
    if (::write(committed, "", 1) != 1) ::_exit(1);
  }
}

TEST_F(CrashTest, KilledAnywhereTheRegistryIsWhole) {
  constexpr int kKills = 30;
  {
    Registry registry = Registry::create(folder_.path());
    commit_now(registry, new_model(registry, "base", "x"));
  }
  std::mt19937 random(20261124);
  // Commits to wait for, so that a busy machine kills writers at work too, and then any moment of the next one.
  std::uniform_int_distribution<int> commits(0, 3), delay_us(0, 30'000);
  int versions = 0;
  for (int kill = 0; kill < kKills; ++kill) {
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    const pid_t writer = ::fork();
    if (writer == 0) {
      try {
        write_forever(folder_.path(), ends[1]);
      } catch (...) {
        ::_exit(1);
      }
    }
    char byte = 0;
    ::close(ends[1]);
    for (int left = commits(random); left > 0; --left) ASSERT_EQ(::read(ends[0], &byte, 1), 1) << "the writer failed";
    std::this_thread::sleep_for(std::chrono::microseconds(delay_us(random)));
    ::kill(writer, SIGKILL);
    int status = 0;
    ::waitpid(writer, &status, 0);
    ::close(ends[0]);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the writer failed by itself";

    Registry registry = Registry::open(folder_.path(), OpenMode::read_write);
    ASSERT_THAT(registry.fsck(), IsEmpty()) << "after kill " << kill;
    for (const OperationRecord& operation : registry.operations()) {
      ASSERT_NE(operation.outcome, Outcome::running);
      ASSERT_EQ(operation.outcome == Outcome::done, !operation.version_after.empty()) << "half an operation";
    }
    const int found = registry.model("base").version_count;
    ASSERT_GE(found, versions) << "a committed version was lost";
    versions = found;
    registry.gc(false, 0);
    ASSERT_THAT(registry.objects().temporaries(), IsEmpty());
  }
  EXPECT_GT(versions, kKills / 2) << "the writers hardly got anything done: the test proves little";
}

TEST_F(CrashTest, AVersionThatWasReportedSurvivesTheKill) {
  Registry::create(folder_.path());
  int pipe_ends[2];
  ASSERT_EQ(::pipe(pipe_ends), 0);
  EXPECT_EQ(in_child([&] {
              Registry registry = Registry::open(folder_.path(), OpenMode::read_write);
              const std::string hash = commit_now(registry, new_model(registry, "base", "x")).version.hash;
              if (::write(pipe_ends[1], hash.data(), hash.size()) != 64) return 1;
              return ::kill(::getpid(), SIGKILL);
            }),
            128 + SIGKILL);
  std::string hash(64, ' ');
  ASSERT_EQ(::read(pipe_ends[0], hash.data(), hash.size()), 64);
  ::close(pipe_ends[0]);
  ::close(pipe_ends[1]);
  EXPECT_EQ(Registry::open(folder_.path(), OpenMode::read_only).resolve("base").hash, hash);
}

/// Files of this process can't grow beyond the limit from now on: writes fail as on a full disk.
void limit_files(rlim_t bytes) {
  std::signal(SIGXFSZ, SIG_IGN);
  const rlimit limit{bytes, bytes};
  ::setrlimit(RLIMIT_FSIZE, &limit);
}

TEST_F(CrashTest, AFullDiskWhileStoringAnObjectLeavesTheRegistryWhole) {
  {
    Registry registry = Registry::create(folder_.path());
    commit_now(registry, new_model(registry, "base", "x"));
  }
  EXPECT_EQ(in_child([&] {
              Registry registry = Registry::open(folder_.path(), OpenMode::read_write);
              limit_files(10'000);
              const std::string big(20'000, 'b');
              const std::string message = error_of([&] { registry.objects().put(as_bytes(big)); });
              return message.find("can't write") != std::string::npos ? 0 : 1;
            }),
            0);
  const Registry registry = Registry::open(folder_.path(), OpenMode::read_write);
  EXPECT_THAT(registry.fsck(), IsEmpty());
  EXPECT_THAT(registry.objects().temporaries(), IsEmpty());
}

TEST_F(CrashTest, AFullDiskWhileCommittingRollsBackAndTheNextCommandWorks) {
  Registry::create(folder_.path());
  EXPECT_EQ(in_child([&] {
              Registry registry = Registry::open(folder_.path(), OpenMode::read_write);
              commit_now(registry, new_model(registry, "base", "x"));
              const auto log = registry.folder() / "registry.db-wal";
              limit_files(std::filesystem::file_size(log) + 20'000);
              // A configuration larger than what is left of the log's limit.
              Commit commit = next_commit(registry, "base");
              commit.manifest.config_json = std::string(100'000, 'c');
              const std::string message = error_of([&] { commit_now(registry, commit); });
              if (message.find("registry.db") == std::string::npos) return 1;
              return registry.model("base").version_count == 1 ? 0 : 2;
            }),
            0);
  Registry registry = Registry::open(folder_.path(), OpenMode::read_write);
  EXPECT_THAT(registry.fsck(), IsEmpty());
  EXPECT_EQ(registry.model("base").version_count, 1);
  EXPECT_EQ(commit_now(registry, next_commit(registry, "base")).version.number, 2);
}

}  // namespace
}  // namespace mformer::testing
