#include <gmock/gmock.h>
#include <sys/wait.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <random>
#include <thread>

#include "damaged_workspace.h"

namespace mformer::testing {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

/// Workspaces as the program made them when it knew the first migration alone (tests/data/registry/0001.sql is a dump).
class MigrationTest : public ::testing::Test {
 protected:
  fs::path make_old(const std::string& name) const {
    const fs::path dir = folder_.path() / name;
    fs::create_directories(dir / ".mformer" / "running");
    SQLite::Database db((dir / ".mformer" / "registry.db").string(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    db.exec(read_file(fs::path(MFORMER_TEST_DATA) / "registry" / "0001.sql"));
    db.exec("PRAGMA journal_mode = WAL");
    ObjectStore store(dir / ".mformer" / "objects");
    // The texts of which that workspace's objects were made.
    const TemporaryFolder scratch;
    Registry same = Registry::create(scratch.path());
    Commit commit = new_model(same, "base", "x");
    add_modules(same, commit, "y");
    for (const std::string& hash : same.objects().list()) store.put(as_bytes(read_file(same.objects().path(hash))));
    store.flush();
    return dir;
  }

  TemporaryFolder folder_;
};

TEST_F(MigrationTest, ARegistryOfTheFirstSchemaIsBroughtUpToDateWithAllItsRows) {
  const fs::path dir = make_old("work");
  const Strings before = dump(dir / ".mformer" / "registry.db");
  EXPECT_THAT(error_of([&] { Registry::open(dir, OpenMode::read_only); }),
              AllOf(HasSubstr("older schema (1"), HasSubstr("mformer gc")));
  {
    const Registry registry = Registry::open(dir, OpenMode::read_write);
    EXPECT_THAT(registry.fsck(), IsEmpty());
    EXPECT_EQ(registry.models().size(), 1U);
    EXPECT_EQ(registry.scores().size(), 2U);
  }
  const Strings after = dump(dir / ".mformer" / "registry.db");
  for (const std::string& row : before) {  // later migrations may have added columns
    EXPECT_THAT(after, Contains(StartsWith(row)));
  }
  Registry registry = Registry::open(dir, OpenMode::read_write);
  commit_now(registry, next_commit(registry, "base"));
  EXPECT_THAT(registry.fsck(), IsEmpty());
}

TEST_F(MigrationTest, KilledAnywhereItIsDoneWhollyOrNotAtAll) {
  std::mt19937 random(20261128);
  std::uniform_int_distribution<int> delay_us(0, 12'000);  // a migration takes about half of that
  for (int kill = 0; kill < 20; ++kill) {
    const fs::path dir = make_old("work" + std::to_string(kill));
    const pid_t migrating = ::fork();
    if (migrating == 0) {
      try {
        Registry::open(dir, OpenMode::read_write);
      } catch (...) {
        ::_exit(1);
      }
      ::_exit(0);
    }
    std::this_thread::sleep_for(std::chrono::microseconds(delay_us(random)));
    ::kill(migrating, SIGKILL);
    int status = 0;
    ::waitpid(migrating, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status) || WEXITSTATUS(status) == 0) << "it failed by itself";
    ASSERT_THAT(Registry::open(dir, OpenMode::read_write).fsck(), IsEmpty()) << "after kill " << kill;
  }
}

TEST_F(MigrationTest, ItWaitsForCommandsOfTheOlderProgram) {
  const fs::path dir = make_old("work");
  {
    const FileLock older(dir / ".mformer" / "running" / "0123456789ab");
    EXPECT_THAT(error_of([&] { Registry::open(dir, OpenMode::read_write); }),
                HasSubstr("of an older mformer is at work"));
  }
  EXPECT_NO_THROW(Registry::open(dir, OpenMode::read_write));
}

}  // namespace
}  // namespace mformer::testing
