#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include <set>

#include "registry_fixture.h"

namespace mformer::testing {
namespace {

using ::testing::IsEmpty;

/// Runs work(0), work(1), … in processes of their own at once; true if all return 0.
bool in_children(int count, const std::function<int(int)>& work) {
  std::vector<pid_t> children;
  for (int number = 0; number < count; ++number) {
    const pid_t child = ::fork();
    if (child == 0) ::_exit(in_child([&] { return work(number); }));
    children.push_back(child);
  }
  bool all = true;
  for (const pid_t child : children) {
    int status = 1;
    ::waitpid(child, &status, 0);
    all = all && status == 0;
  }
  return all;
}

class ConcurrencyTest : public ::testing::Test {
 protected:
  TemporaryFolder folder_;
};

TEST_F(ConcurrencyTest, WritersOfDifferentModelsAllSucceed) {
  Registry::create(folder_.path());
  constexpr int kProcesses = 4;
  constexpr int kCommits = 10;
  EXPECT_TRUE(in_children(kProcesses, [&](int number) {
    Registry registry = Registry::open(folder_.path(), OpenMode::read_write);
    const std::string name = "model" + std::to_string(number);
    commit_now(registry, new_model(registry, name, name));
    for (int i = 1; i < kCommits; ++i) {
      if (commit_now(registry, next_commit(registry, name)).kept_beside) return 1;
    }
    return 0;
  }));
  const Registry registry = Registry::open(folder_.path(), OpenMode::read_only);
  EXPECT_EQ(registry.models().size(), static_cast<size_t>(kProcesses));
  for (const ModelRecord& model : registry.models()) EXPECT_EQ(model.version_count, kCommits);
  EXPECT_THAT(registry.fsck(), IsEmpty());
}

TEST_F(ConcurrencyTest, WritersOfOneModelLoseNothing) {
  {
    Registry registry = Registry::create(folder_.path());
    commit_now(registry, new_model(registry, "base", "x"));
  }
  constexpr int kProcesses = 4;
  EXPECT_TRUE(in_children(kProcesses, [&](int number) {
    Registry registry = Registry::open(folder_.path(), OpenMode::read_write);
    for (int i = 0; i < 10; ++i) {
      Commit commit = next_commit(registry, "base");
      const std::string weights = std::to_string(number) + " " + std::to_string(i);
      commit.manifest.parts[0].object_hash = registry.objects().put(as_bytes(weights));
      commit_now(registry, commit);
    }
    return 0;
  }));
  const Registry registry = Registry::open(folder_.path(), OpenMode::read_only);
  std::set<std::string> weights;
  for (const ModelRecord& model : registry.models()) {
    for (const VersionRecord& version : registry.versions(model.name)) {
      weights.insert(registry.manifest(version.hash).parts[0].object_hash);
    }
  }
  EXPECT_EQ(weights.size(), 1U + kProcesses * 10U) << "every result is a version somewhere";
  EXPECT_THAT(registry.fsck(), IsEmpty());
}

TEST_F(ConcurrencyTest, OneOfTwoCreatorsWins) {
  const auto winner = [&](int number) { return folder_.path() / ("won-" + std::to_string(number)); };
  EXPECT_TRUE(in_children(4, [&](int number) {
    try {
      Registry::create(folder_.path());
      std::filesystem::create_directory(winner(number));
    } catch (const Error& error) {
      if (std::string(error.what()).find("there is a workspace already") == std::string::npos) throw;
    }
    return 0;
  }));
  int winners = 0;
  for (int number = 0; number < 4; ++number) winners += std::filesystem::exists(winner(number)) ? 1 : 0;
  EXPECT_EQ(winners, 1);
  EXPECT_THAT(Registry::open(folder_.path(), OpenMode::read_only).fsck(), IsEmpty());
}

TEST_F(ConcurrencyTest, GarbageCollectionBesideWritersHarmsNobody) {
  Registry::create(folder_.path());
  EXPECT_TRUE(in_children(3, [&](int number) {
    Registry registry = Registry::open(folder_.path(), OpenMode::read_write);
    for (int i = 0; i < 15; ++i) {
      const std::string name = "m" + std::to_string(number) + "-" + std::to_string(i);
      if (number == 0) {
        registry.gc(false);
      } else {
        commit_now(registry, new_model(registry, name, "same weights", 1, 1));
      }
    }
    return 0;
  }));
  EXPECT_THAT(Registry::open(folder_.path(), OpenMode::read_only).fsck(), IsEmpty());
}

}  // namespace
}  // namespace mformer::testing
