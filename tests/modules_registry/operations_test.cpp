#include <SQLiteCpp/SQLiteCpp.h>
#include <gmock/gmock.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <thread>

#include "registry_fixture.h"

namespace mformer::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

class OperationsTest : public RegistryTest {
 protected:
  static OperationStart start(std::string command) {
    OperationStart start;
    start.command = std::move(command);
    return start;
  }
};

TEST_F(OperationsTest, EverythingWrittenDownReadsBack) {
  const std::string before = commit_now(registry_, new_model(registry_, "base", "x")).version.hash;
  OperationStart started;
  started.command = "extend";
  started.arguments_json = R"({"data": "de"})";
  started.seed = 7;
  started.code_version = "0.1.0";
  started.model = "base";
  started.data = {{"train", "de", "/data/de", "h1"}, {"replay", "en", "/data/en", "h2"}};
  const std::int64_t id = registry_.begin_operation(started);
  const OperationRecord running = registry_.operation(id);
  EXPECT_EQ(running.outcome, Outcome::running);
  EXPECT_EQ(running.ended_ms, 0);
  EXPECT_EQ(running.version_before, before);
  EXPECT_EQ(running.version_after, "");
  EXPECT_EQ(running.uid.size(), 12U);

  registry_.finish_operation(id, Outcome::failed, "the disk was full");
  const OperationRecord ended = registry_.operation(id);
  EXPECT_EQ(ended.command, "extend");
  EXPECT_EQ(ended.arguments_json, R"({"data": "de"})");
  EXPECT_EQ(ended.seed, 7);
  EXPECT_EQ(ended.code_version, "0.1.0");
  EXPECT_EQ(ended.model, "base");
  EXPECT_EQ(ended.data, started.data);
  EXPECT_EQ(ended.outcome, Outcome::failed);
  EXPECT_EQ(ended.message, "the disk was full");
  EXPECT_GE(ended.ended_ms, ended.started_ms);
}

TEST_F(OperationsTest, TheListIsNewestFirstAndLimited) {
  for (const char* command : {"one", "two", "three"}) {
    registry_.finish_operation(registry_.begin_operation(start(command)), Outcome::done);
  }
  ASSERT_EQ(registry_.operations().size(), 3U);
  EXPECT_EQ(registry_.operations().front().command, "three");
  EXPECT_EQ(registry_.operations().back().command, "one");
  EXPECT_EQ(registry_.operations(2).size(), 2U);
}

TEST_F(OperationsTest, InAListEachHasItsOwnDataAndHowItWasTyped) {
  for (const char* task : {"a", "", "c"}) {
    OperationStart started = start("extend");
    started.data.clear();
    if (*task != '\0') started.data = {{"train", task, "/x", "h1"}, {"replay", task, "/y", "h2"}};
    started.typed = {std::string("[\"extend\",\"") + task + "\"]", "/folder", 3};
    registry_.finish_operation(registry_.begin_operation(started), Outcome::done);
  }
  const std::vector<OperationRecord> listed = registry_.operations();
  ASSERT_EQ(listed.size(), 3U);
  EXPECT_EQ(listed[0].data.size(), 2U);
  EXPECT_EQ(listed[0].data[1].task, "c");
  EXPECT_EQ(listed[0].data[1].role, "replay");
  EXPECT_THAT(listed[1].data, IsEmpty());
  EXPECT_EQ(listed[2].data[0].task, "a");
  EXPECT_EQ(listed[0].typed.line, R"(["extend","c"])");
  EXPECT_EQ(listed[0].typed.folder, "/folder");
  EXPECT_EQ(listed[0].typed.threads, 3);
  for (const OperationRecord& one : listed) EXPECT_EQ(registry_.operation(one.id).data, one.data);
}

TEST_F(OperationsTest, TheFirstOutcomeStays) {
  const CommitResult made = commit_now(registry_, new_model(registry_, "base", "x"));
  registry_.finish_operation(made.version.operation_id, Outcome::failed, "too late");
  const OperationRecord operation = registry_.operation(made.version.operation_id);
  EXPECT_EQ(operation.outcome, Outcome::done);
  EXPECT_EQ(operation.version_after, made.version.hash);
}

TEST_F(OperationsTest, AnUnknownOperationIsAnError) {
  EXPECT_THAT(error_of([&] { registry_.operation(5); }), HasSubstr("no operation 5"));
  EXPECT_THAT(error_of([&] { registry_.finish_operation(5, Outcome::done); }), HasSubstr("no operation 5"));
}

TEST_F(OperationsTest, OneOfALivingProcessStaysRunning) {
  const std::int64_t id = registry_.begin_operation(start("train"));
  EXPECT_EQ(in_child([&] {
              const Registry other = Registry::open(folder_.path(), OpenMode::read_write);
              return other.operation(id).outcome == Outcome::running ? 0 : 1;
            }),
            0);
  EXPECT_NO_THROW(registry_.finish_operation(id, Outcome::done));
  EXPECT_EQ(registry_.operation(id).outcome, Outcome::done);
}

TEST_F(OperationsTest, OneOfAKilledProcessIsInterrupted) {
  EXPECT_EQ(in_child([&] {
              Registry other = Registry::open(folder_.path(), OpenMode::read_write);
              other.begin_operation(start("train"));
              return ::kill(::getpid(), SIGKILL);
            }),
            128 + SIGKILL);
  const Registry reader = Registry::open(folder_.path(), OpenMode::read_only);
  EXPECT_EQ(reader.operation(1).outcome, Outcome::interrupted) << "a reader sees it before any writer marks it";
  EXPECT_EQ(reader.operation(1).ended_ms, 0);

  const Registry writer = Registry::open(folder_.path(), OpenMode::read_write);
  EXPECT_EQ(writer.operation(1).outcome, Outcome::interrupted);
  EXPECT_GT(writer.operation(1).ended_ms, 0);
  EXPECT_THAT(std::vector(std::filesystem::directory_iterator(writer.folder() / "running"),
                          std::filesystem::directory_iterator()),
              IsEmpty());
}

TEST_F(OperationsTest, OneThatItsRegistryForgotIsInterrupted) {
  {
    Registry other = Registry::open(folder_.path(), OpenMode::read_write);
    other.begin_operation(start("train"));
  }
  EXPECT_EQ(registry_.operation(1).outcome, Outcome::interrupted);
}

TEST_F(OperationsTest, WhoOnlyAsksDoesNotKeepALockFromItsOwner) {
  const std::filesystem::path path = folder_.path() / "lock";
  std::atomic<bool> done = false;
  std::thread asker([&] {
    while (!done) FileLock::is_held(path);
  });
  std::thread remover([&] {
    while (!done) FileLock::remove_if_free(path);
  });
  for (int i = 0; i < 2'000; ++i) {
    EXPECT_NO_THROW({
      const FileLock lock(path);
      EXPECT_TRUE(FileLock::is_held(path));
    });
  }
  done = true;
  asker.join();
  remover.join();
}

TEST_F(OperationsTest, WhatIsDoneAtomicallyIsDoneWhollyOrNotAtAll) {
  const auto add = [&](bool fails) {
    registry_.atomically([&] {
      registry_.add_task({"qa", "/data", "hash", 1, 1, "rule", 0, 0});
      registry_.set_setting("key", "value");
      if (fails) throw Error("no");
    });
  };
  EXPECT_THROW(add(true), Error);
  EXPECT_TRUE(registry_.tasks().empty());
  EXPECT_EQ(registry_.setting("key"), std::nullopt);
  add(false);
  EXPECT_EQ(registry_.tasks().size(), 1U);
  EXPECT_THAT(registry_.fsck(), ::testing::IsEmpty());
}

TEST_F(OperationsTest, ALongQueryStopsWhenItIsAskedToButNotAWrite) {
  commit_now(registry_, new_model(registry_, "base", "x"));
  registry_.add_task({"qa", "/data", "hash", 1, 1, "rule", 0, 0});
  SQLite::Database((registry_.folder() / "registry.db").string(), SQLite::OPEN_READWRITE)
      .exec(
          "INSERT INTO scores WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000) "
          "SELECT 1, 1, 'held_out', 'm', i, 0, 1.0, 1, NULL, 0 FROM n");
  bool stops = false;
  registry_.stop_when([&] { return stops; });
  EXPECT_EQ(registry_.scores().size(), 100'000U);
  stops = true;
  EXPECT_THROW(registry_.scores(), StoppedError);
  EXPECT_THROW(registry_.fsck(), StoppedError);
  EXPECT_NO_THROW(registry_.atomically([&] { registry_.scores(); }));
  EXPECT_NO_THROW(registry_.models());
}

TEST_F(OperationsTest, AMovedRegistryKeepsItsOperations) {
  const std::int64_t id = registry_.begin_operation(start("train"));
  Registry moved = std::move(registry_);
  EXPECT_EQ(moved.operation(id).outcome, Outcome::running);
  moved.finish_operation(id, Outcome::done);
}

}  // namespace
}  // namespace mformer::testing
