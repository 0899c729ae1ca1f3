#include <gmock/gmock.h>
#include <sqlite3.h>
#include <sys/wait.h>

#include <csignal>

#include "old_workspaces.h"

namespace mformer::testing {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

using Answers = std::map<std::string, Strings>;

Answers answers(SQLite::Database& db, const std::map<std::string, std::string>& asked) {
  Answers all;
  for (const auto& [name, sql] : asked) {
    all[name] = rows_of(db, sql);
    std::sort(all[name].begin(), all[name].end());
  }
  return all;
}

SQLite::Database database_of(const fs::path& dir) {
  return {(dir / ".mformer" / "registry.db").string(), SQLite::OPEN_READONLY};
}

/// The parameter is the schema of the program that made the workspace.
class MigrationTest : public ::testing::TestWithParam<int> {
 protected:
  /// What an old workspace says, and how to ask one of today the same.
  struct Old {
    Answers said;
    std::map<std::string, std::string> questions_now;
  };

  Old what_it_says(const fs::path& dir) const {
    SQLite::Database db = database_of(dir);
    return {answers(db, questions(db, false)), questions(db, true)};
  }

  static void expect_all_there(const fs::path& dir, const Old& old) {
    SQLite::Database db = database_of(dir);
    for (const auto& [table, rows] : answers(db, old.questions_now)) {
      EXPECT_THAT(rows, ElementsAreArray(old.said.at(table))) << table;
    }
  }

  OldWorkspaces old_;
};

TEST_P(MigrationTest, ARegistryIsBroughtUpToDateWithAllItsRows) {
  const fs::path dir = old_.make(GetParam(), "work");
  const Old old = what_it_says(dir);
  for (const char* table :
       {"versions", GetParam() < kBanks ? "version_modules" : "bank_modules", "routing_stats", "scores"}) {
    ASSERT_THAT(old.said.at(table), Not(IsEmpty())) << table;
  }
  EXPECT_THAT(error_of([&] { Registry::open(dir, OpenMode::read_only); }),
              AllOf(HasSubstr("older schema (" + std::to_string(GetParam())), HasSubstr("mformer gc")));
  EXPECT_EQ(what_it_says(dir).said, old.said) << "reading changes nothing";
  {
    const Registry registry = Registry::open(dir, OpenMode::read_write);
    EXPECT_THAT(registry.fsck(), IsEmpty());
  }
  expect_all_there(dir, old);
  Registry registry = Registry::open(dir, OpenMode::read_write);
  const std::string model = registry.models().front().name;
  commit_now(registry, next_commit(registry, model));
  EXPECT_THAT(registry.fsck(), IsEmpty());
}

TEST_P(MigrationTest, WhatWasMeasuredIsFoundByWhatItWasMeasuredOn) {
  const fs::path dir = old_.make(GetParam(), "work");
  const Registry registry = Registry::open(dir, OpenMode::read_write);
  const std::string task = registry.tasks().front().name;
  bool loss = false, share = GetParam() == 1;  // the first program kept none
  for (const Score& score : registry.scores("", task)) {
    EXPECT_THAT(score.metric, Not(HasSubstr("@")));
    loss = loss || (score.metric == "loss" && score.part == -1 && score.token_limit == 100);
    share = share || (score.metric == "share" && score.part == 1 && score.token_limit == 65536);
    if (score.metric != "loss" || score.token_limit != 100) continue;
    const auto stats = registry.routing_stats(score.version, task);
    EXPECT_EQ(stats.size(), registry.routing_stats(score.version, task, {"", -1}).size());
    EXPECT_THAT(registry.routing_stats(score.version, task, {"held_out", 100}), IsEmpty());
  }
  EXPECT_TRUE(loss && share);
}

TEST_P(MigrationTest, WhatWasMeasuredOnASplitStaysWithIt) {
  if (GetParam() < kBanks) GTEST_SKIP() << "whose measurements had none";
  const fs::path dir = old_.make(GetParam(), "work");
  const Registry registry = Registry::open(dir, OpenMode::read_write);
  const std::string version = registry.model("first-model").current_version;
  EXPECT_EQ(registry.looked_at(), version);
  const std::vector<Measured> on = registry.routings(version, "questions");
  ASSERT_EQ(on.size(), 2U);
  EXPECT_EQ(on[0].split, "held_out");
  EXPECT_EQ(on[0].token_limit, 100);
  EXPECT_EQ(registry.operation(on[0].operation_id).command, "eval");
  EXPECT_EQ(registry.operation(on[0].operation_id).origin, "") << "all was done here";
  EXPECT_EQ(on[1].split, "train");
  EXPECT_EQ(on[1].operation_id, 0);
  EXPECT_EQ(registry.routing_stats(version, "questions", on[0]).size(), 12U);
}

TEST_P(MigrationTest, ADamagedOneIsLeftAsItIsAndItIsSaidWhatIsWrong) {
  if (GetParam() == 1) GTEST_SKIP() << "whose rows had no seals";
  const fs::path dir = old_.make(GetParam(), "work");
  SQLite::Database((dir / ".mformer" / "registry.db").string(), SQLite::OPEN_READWRITE)
      .exec("UPDATE scores SET value = 2 * value");
  const Old old = what_it_says(dir);
  for (const OpenMode mode : {OpenMode::read_write, OpenMode::repair}) {
    EXPECT_THAT(error_of([&] { Registry::open(dir, mode); }),
                AllOf(HasSubstr("table scores: its"), HasSubstr("from a copy")));
  }
  EXPECT_EQ(what_it_says(dir).said, old.said);
}

TEST_P(MigrationTest, ItWaitsForCommandsOfTheOlderProgram) {
  const fs::path dir = old_.make(GetParam(), "work");
  {
    const FileLock older(dir / ".mformer" / "running" / "0123456789ab");
    EXPECT_THAT(error_of([&] { Registry::open(dir, OpenMode::read_write); }),
                HasSubstr("of an older mformer is at work"));
  }
  EXPECT_NO_THROW(Registry::open(dir, OpenMode::read_write));
}

/// Stands before SQLite's own way to the disk: after `left` writes the process kills itself in the midst of the next.
struct KillingDisk {
  static inline int left = 0;
  static inline sqlite3_vfs disk{};
  static inline sqlite3_io_methods methods{};
  static inline const sqlite3_io_methods* own = nullptr;
  static inline int (*own_open)(sqlite3_vfs*, const char*, sqlite3_file*, int, int*) = nullptr;

  static int write(sqlite3_file* file, const void* bytes, int count, sqlite3_int64 at) {
    if (left-- > 0) return own->xWrite(file, bytes, count, at);
    own->xWrite(file, bytes, count / 2, at);
    return ::kill(::getpid(), SIGKILL);
  }

  static int open(sqlite3_vfs* vfs, const char* name, sqlite3_file* file, int flags, int* out) {
    const int code = own_open(vfs, name, file, flags, out);
    if (code != SQLITE_OK || file->pMethods == nullptr) return code;
    if (own == nullptr) {
      own = file->pMethods;
      methods = *own;
      methods.xWrite = write;
    }
    if (file->pMethods == own) file->pMethods = &methods;
    return code;
  }

  static void install(int writes) {
    left = writes;
    disk = *sqlite3_vfs_find(nullptr);
    own_open = disk.xOpen;
    disk.xOpen = open;
    disk.zName = "killing";
    sqlite3_vfs_register(&disk, 1);
  }
};

TEST_P(MigrationTest, KilledInAnyWriteItIsDoneWhollyOrNotAtAll) {
  const Old old = what_it_says(old_.make(GetParam(), "whole"));
  const int step = GetParam() >= 5 ? 1 : 5;  // every write of each would take long
  int kills = 0;
  for (int writes = 0;; writes += step) {
    const fs::path dir = old_.make(GetParam(), "work" + std::to_string(writes));
    const int code = in_child([&] {
      KillingDisk::install(writes);
      Registry::open(dir, OpenMode::read_write);
      return 0;
    });
    ASSERT_TRUE(code == 0 || code == 128 + SIGKILL) << "it failed by itself";
    ASSERT_THAT(Registry::open(dir, OpenMode::read_write).fsck(), IsEmpty()) << "after " << writes << " writes";
    expect_all_there(dir, old);
    if (code == 0) break;
    ++kills;
  }
  EXPECT_GT(kills * step, GetParam() < kBanks ? 20 : 3) << "hardly a write was seen: the test proves little";
}

INSTANTIATE_TEST_SUITE_P(OfSchema, MigrationTest, ::testing::ValuesIn(kOldSchemas),
                         [](const auto& schema) { return std::to_string(schema.param); });

}  // namespace
}  // namespace mformer::testing
