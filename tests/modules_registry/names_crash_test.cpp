#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <iostream>
#include <random>
#include <thread>

#include "registry_fixture.h"

namespace mformer::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::IsEmpty;

/// Removes, renames, takes back, tags and frees until killed.
[[noreturn]] void change_names_forever(const fs::path& dir) {
  Registry registry = Registry::open(dir, OpenMode::read_write);
  const auto run = [&](const std::function<void(std::int64_t)>& work) {
    OperationStart start;
    start.command = "names";
    const std::int64_t id = registry.begin_operation(start);
    work(id);
  };
  while (true) {
    const std::string name = "m" + random_uid();
    Commit commit = next_commit(registry, "base");
    add_modules(registry, commit, name);
    commit.model = name;
    commit.expected_current = "";
    commit_now(registry, commit);
    run([&](std::int64_t id) { registry.rename(id, Thing::task, "qa", "questions"); });
    run([&](std::int64_t id) { registry.take_back(id, registry.last_name_change()->operation_id); });
    run([&](std::int64_t id) { registry.remove(id, Thing::task, "qa"); });
    run([&](std::int64_t id) { registry.take_back(id, registry.last_name_change()->operation_id); });
    run([&](std::int64_t id) { registry.make_tag(id, name + "-tag", registry.resolve(name).hash); });
    run([&](std::int64_t id) { registry.remove(id, Thing::tag, name + "-tag"); });
    run([&](std::int64_t id) { registry.remove(id, Thing::model, name); });
    registry.gc(false, 0);
  }
}

/// No registry may be open while a process that opens it again is forked off: SQLite forbids that.
TEST(NamesCrashTest, KilledAnywhereNamesAndWhatTheyNameAreWhole) {
  const TemporaryFolder folder;
  std::string first;
  {
    Registry registry = Registry::create(folder.path());
    first = commit_now(registry, new_model(registry, "base", "x"), "init").version.hash;
    TaskRecord task;
    task.name = "qa";
    task.data_path = "/data/qa";
    task.content_hash = "hash 1";
    registry.add_task(task);
    registry.put_score({first, "qa", "held_out", "loss", 1.5, 10, 0, 0, 0});
  }
  constexpr int kKills = 20;
  std::mt19937 random(20261128);
  std::uniform_int_distribution<int> delay_us(500, 120'000);
  std::int64_t operations = 0;
  for (int kill = 0; kill < kKills; ++kill) {
    const pid_t writer = ::fork();
    if (writer == 0) {
      try {
        change_names_forever(folder.path());
      } catch (const std::exception& error) {
        std::cerr << error.what() << '\n';
        ::_exit(1);
      }
    }
    std::this_thread::sleep_for(std::chrono::microseconds(delay_us(random)));
    ::kill(writer, SIGKILL);
    int status = 0;
    ::waitpid(writer, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the writer failed by itself";

    Registry registry = Registry::open(folder.path(), OpenMode::read_write);
    ASSERT_THAT(registry.fsck(), IsEmpty()) << "after kill " << kill;
    operations = registry.operations(1).at(0).id;
    // Where it was when it was killed, undo goes on.
    while (!registry.has_task("qa")) {
      OperationStart start;
      start.command = "undo";
      registry.take_back(registry.begin_operation(start), registry.last_name_change()->operation_id);
    }
    ASSERT_EQ(registry.scores(first, "qa").at(0).value, 1.5);
  }
  EXPECT_GT(operations, 2 * kKills) << "the writers hardly got anything done: the test proves little";
}

}  // namespace
}  // namespace mformer::testing
