#include <sys/resource.h>

#include <csignal>
#include <fstream>
#include <functional>
#include <random>

#include "damaged_workspace.h"
#include "modules_registry/write_ahead_log.h"

namespace mformer::testing {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

/// Flips one random bit of `file` in copies, and holds what is read to what is reported.
void expect_flips_found(const Strings& rows, const std::function<fs::path()>& copy, const std::string& file,
                        int flips) {
  std::mt19937 random(20261128);
  int harmless = 0;
  for (int flip = 0; flip < flips; ++flip) {
    const fs::path dir = copy();
    const fs::path path = dir / ".mformer" / file;
    std::string bytes = read_file(path);
    const std::size_t bit = std::uniform_int_distribution<std::size_t>(0, 8 * bytes.size() - 1)(random);
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ 1 << bit % 8);
    std::ofstream(path, std::ios::binary) << bytes;
    const Strings problems = problems_of(dir);
    if (!problems.empty()) continue;
    ++harmless;
    EXPECT_EQ(dump(dir / ".mformer" / "registry.db"), rows) << "bit " << bit << " of " << file;
  }
  EXPECT_LT(harmless, flips) << "no flip was found: nothing was tested";
}

TEST_F(IntegrityTest, AFlippedBitOfTheDatabaseChangesNoRowOrIsFound) {
  expect_flips_found(
      dump(database()), [&] { return copy(); }, "registry.db", 150);
}

TEST_F(IntegrityTest, AFlippedBitOfTheLogChangesNoRowOrIsFound) {
  leave_a_log();
  const fs::path before = copy();  // reading the original would not change it, but this is sure
  expect_flips_found(
      dump(before / ".mformer" / "registry.db"), [&] { return copy(); }, "registry.db-wal", 150);
}

TEST_F(IntegrityTest, AFlippedBitOfTheLogIsFoundEvenWithoutTheCountOfChanges) {
  leave_a_log();
  const fs::path log = database().string() + "-wal";
  EXPECT_FALSE(is_damaged_log(log));
  const std::string bytes = read_file(log);
  constexpr std::size_t kFrame = 24 + 4096;
  const std::size_t last_salt = bytes.size() - kFrame + 8;  // with a bit less it could be of an older use of the log
  for (std::size_t at = 0; at < bytes.size(); at += 61) {
    if (at >= last_salt && at < last_salt + 4) continue;
    std::string changed = bytes;
    changed[at] = static_cast<char>(changed[at] ^ 4);
    const fs::path copy = folder_.path() / "log";
    std::ofstream(copy, std::ios::binary) << changed;
    ASSERT_TRUE(is_damaged_log(copy)) << "byte " << at;
  }
}

TEST_F(IntegrityTest, ALogThatAKillCutOffIsNotDamaged) {
  leave_a_log();
  const std::string bytes = read_file(database().string() + "-wal");
  const fs::path copy = folder_.path() / "log";
  for (std::size_t size = 0; size < bytes.size(); size += 97) {
    std::ofstream(copy, std::ios::binary) << bytes.substr(0, size);
    ASSERT_FALSE(is_damaged_log(copy)) << "the first " << size << " bytes";
  }
}

TEST_F(IntegrityTest, ATransactionThatWasNeverEndedIsNothingToLose) {
  leave_a_log();
  constexpr std::size_t kFrame = 24 + 4096;
  std::string bytes = read_file(database().string() + "-wal");
  bytes.resize(bytes.size() - kFrame);  // the last frame, which ends the last transaction
  std::string& changed = bytes.replace(bytes.size() - 2 * kFrame + 100, 1, "?");
  std::ofstream(folder_.path() / "log", std::ios::binary) << changed;
  EXPECT_FALSE(is_damaged_log(folder_.path() / "log"));
}

TEST_F(IntegrityTest, ACommitOfWhichAKilledWriterWroteTheHeadAloneIsNothingToLose) {
  leave_a_log();
  constexpr std::size_t kFrame = 24 + 4096;
  const std::string whole = read_file(database().string() + "-wal");
  const fs::path log = folder_.path() / "log";
  const auto is_damaged = [&](const std::string& bytes) {
    std::ofstream(log, std::ios::binary) << bytes;
    return is_damaged_log(log);
  };
  // What an earlier writer, killed too, had left is not the beginning of this transaction any more.
  std::string first_changed = whole;
  first_changed[whole.size() - 3 * kFrame + 1000] ^= 1;
  EXPECT_TRUE(is_damaged(first_changed)) << "a commit that was there wholly";
  std::string half = first_changed;
  half.replace(whole.size() - kFrame + 24, 4096, std::string(4096, 'o'));  // of an older use of the log
  EXPECT_FALSE(is_damaged(half));
  EXPECT_FALSE(is_damaged(half + whole.substr(32, kFrame).replace(8, 8, "of older"))) << "whose frames lie behind it";
}

TEST_F(IntegrityTest, WhatATransactionThatFailedLeftInTheLogIsNothingToLose) {
  ASSERT_EQ(in_child([&]() -> int {
              std::signal(SIGXFSZ, SIG_IGN);
              Registry registry = Registry::open(dir(), OpenMode::read_write);
              registry.set_setting("key", "before");
              const rlim_t bytes = fs::file_size(database().string() + "-wal") + 30'000;
              const rlimit limit{bytes, bytes};
              ::setrlimit(RLIMIT_FSIZE, &limit);
              const std::string message = error_of([&] { registry.set_setting("long", std::string(100'000, 'l')); });
              if (message.find("limit on disk space or file size") == std::string::npos) return 1;
              registry.set_setting("key", "after");
              ::_exit(0);  // without closing: the write-ahead log stays
            }),
            0);
  EXPECT_FALSE(is_damaged_log(database().string() + "-wal"));
  EXPECT_THAT(problems_of(dir()), IsEmpty());
  EXPECT_EQ(Registry::open(dir(), OpenMode::read_write).setting("key"), "after");
}

TEST_F(IntegrityTest, AnOldLogUsedAnewIsNotDamaged) {
  SQLite::Database first(database().string(), SQLite::OPEN_READWRITE);
  Registry registry = Registry::open(dir(), OpenMode::read_write);
  for (int round = 0; round < 5; ++round) {
    for (int commit = round; commit < 5; ++commit) registry.set_setting("key", std::string(9'000, 'a' + round));
    ASSERT_FALSE(is_damaged_log(database().string() + "-wal"));
    first.exec("PRAGMA wal_checkpoint(PASSIVE)");  // all of it: the next commit starts at the log's beginning
  }
}

TEST_F(IntegrityTest, ADamagedLogIsNotWrittenOver) {
  leave_a_log();
  const fs::path log = database().string() + "-wal";
  std::string bytes = read_file(log);
  bytes[156] = static_cast<char>(bytes[156] ^ 1);
  std::ofstream(log, std::ios::binary) << bytes;
  EXPECT_THAT(problems_of(dir()), Contains(HasSubstr("registry.db-wal is damaged")));
  EXPECT_THAT(error_of([&] { Registry::open(dir(), OpenMode::read_write); }),
              AllOf(HasSubstr("is damaged"), HasSubstr("from a copy")));
  EXPECT_EQ(read_file(log), bytes);

  Registry registry = Registry::open(dir(), OpenMode::repair);
  EXPECT_THAT(registry.repair({}).left, Contains(HasSubstr("registry.db lacks the last")));
  EXPECT_THAT(registry.repair({{}, true}).left, IsEmpty());
  EXPECT_EQ(registry.model("base").version_count, 2) << "what the log had is lost";
}

TEST_F(IntegrityTest, AnOlderCopyPutBackIsFoundAndNotWrittenOver) {
  const fs::path older = copy();
  {
    Registry registry = Registry::open(dir(), OpenMode::read_write);
    registry.set_setting("key", "newer");
  }
  fs::copy_file(older / ".mformer" / "registry.db", database(), fs::copy_options::overwrite_existing);
  EXPECT_THAT(problems_of(dir()), Contains(HasSubstr("lacks the last")));
  EXPECT_THAT(error_of([&] { Registry::open(dir(), OpenMode::read_write); }),
              AllOf(HasSubstr("older copy"), HasSubstr("mformer fsck --repair --reseal")));
  EXPECT_THAT(Registry::open(dir(), OpenMode::repair).repair({{}, true}).left, IsEmpty());
  EXPECT_EQ(Registry::open(dir(), OpenMode::read_write).setting("key"), "value");
}

TEST_F(IntegrityTest, ALostOrDamagedCountOfChangesIsWrittenAnew) {
  const fs::path count = dir() / ".mformer" / "changes";
  const std::string before = read_file(count);
  for (const std::string& text : {std::string(), std::string("17"), std::string(before).replace(3, 1, "8")}) {
    std::ofstream(count, std::ios::binary) << text;
    EXPECT_THAT(problems_of(dir()), Contains(HasSubstr("can't be told")));
    EXPECT_THAT(Registry::open(dir(), OpenMode::repair).repair({}).left, IsEmpty());
    EXPECT_EQ(read_file(count), before);
  }
}

TEST_F(IntegrityTest, AnEmptyRegistryBesideObjectsIsDamageForEverybody) {
  for (const bool gone : {false, true}) {
    fs::remove(database().string() + "-wal");
    gone ? void(fs::remove(database())) : fs::resize_file(database(), 0);
    for (const OpenMode mode : {OpenMode::read_only, OpenMode::read_write, OpenMode::repair}) {
      EXPECT_THAT(error_of([&] { Registry::open(dir(), mode); }),
                  AllOf(HasSubstr("objects of it are there"), HasSubstr("from a copy")));
    }
    EXPECT_THAT(error_of([&] { Registry::create(dir()); }), HasSubstr("objects of it are there"));
    EXPECT_EQ(Registry::find(dir()), dir());
  }
}

}  // namespace
}  // namespace mformer::testing
