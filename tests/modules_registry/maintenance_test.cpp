#include <SQLiteCpp/SQLiteCpp.h>
#include <gmock/gmock.h>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <map>
#include <set>
#include <thread>

#include "modules_registry/files.h"
#include "registry_fixture.h"

namespace mformer::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class GcTest : public RegistryTest {
 protected:
  void SetUp() override {
    version_ = commit_now(registry_, new_model(registry_, "base", "x")).version.hash;
    referenced_ = registry_.objects().list();
  }

  void make_old(const fs::path& file) {
    fs::last_write_time(file, fs::file_time_type::clock::now() - std::chrono::hours(2));
  }

  std::string version_;
  std::vector<std::string> referenced_;
};

TEST_F(GcTest, ItAndFsckSayHowFarTheyAre) {
  std::map<std::string, std::pair<std::int64_t, std::int64_t>> last;
  registry_.show_progress([&](const std::string& what, std::int64_t done, std::int64_t total) {
    EXPECT_EQ(done, last[what].first + 1) << what;
    last[what] = {done, total};
  });
  registry_.fsck();
  registry_.gc(true, 0);
  const auto objects = static_cast<std::int64_t>(referenced_.size());
  EXPECT_EQ(last["check versions"], std::pair(std::int64_t{1}, std::int64_t{1}));
  EXPECT_EQ(last["read objects"], std::pair(objects, objects));
  std::set<std::string> folders;  // of which one after the other is looked through
  for (const std::string& hash : referenced_) folders.insert(hash.substr(0, 2));
  const auto count = static_cast<std::int64_t>(folders.size());
  EXPECT_EQ(last["look for unused objects"], std::pair(count, count));
}

TEST_F(GcTest, ItTakesNoMoreMemoryForMoreObjects) {
  constexpr int kMany = 20'000;
  const fs::path root = registry_.objects().root();
  for (int i = 0; i < kMany; ++i) {
    const std::string hash = sha256_hex(std::to_string(i));
    const fs::path folder = root / hash.substr(0, 2);
    fs::create_directories(folder);
    std::ofstream(folder / hash).flush();
  }
  const int code = in_child([&] {
    Registry registry = Registry::open(folder_.path(), OpenMode::read_write);
    Registry::sweep(folder_.path(), true, 0);
    const auto peak = [] {
      rusage usage{};
      ::getrusage(RUSAGE_SELF, &usage);
      return usage.ru_maxrss;
    };
    const auto before = peak();
    const bool all = registry.gc(true, 0).objects == kMany;
    return all && peak() - before < 6 << 10 ? 0 : 1;  // KiB; their paths would take 13 MiB
  });
  EXPECT_EQ(code, 0);
}

TEST_F(GcTest, OnlyUnreferencedObjectsAndTemporariesGo) {
  registry_.objects().put(as_bytes("unused"));
  const fs::path half = registry_.objects().path(referenced_[0]).parent_path() / ".tmp-half";
  write_file_atomically(half, as_bytes("123"));
  write_file_atomically(registry_.folder() / "running" / "0123456789ab", as_bytes(""));
  const GcResult result = registry_.gc(false, 0);
  EXPECT_EQ(result.objects, 1);
  EXPECT_EQ(result.temporaries, 2) << "the unfinished file and the dead lock";
  EXPECT_EQ(result.bytes, 9);
  EXPECT_EQ(registry_.objects().list(), referenced_);
  EXPECT_FALSE(fs::exists(half));
  EXPECT_THAT(registry_.fsck(), IsEmpty());
  EXPECT_EQ(registry_.gc(false, 0).objects, 0);
}

TEST_F(GcTest, ADryRunOnlyCounts) {
  const std::string unused = registry_.objects().put(as_bytes("unused"));
  EXPECT_EQ(Registry::open(folder_.path(), OpenMode::read_only).gc(true, 0).bytes, 6);
  EXPECT_TRUE(registry_.objects().contains(unused));
}

TEST_F(GcTest, WhatIsYoungerThanTheGraceStays) {
  const std::string young = registry_.objects().put(as_bytes("young"));
  const std::string old = registry_.objects().put(as_bytes("old"));
  make_old(registry_.objects().path(old));
  EXPECT_EQ(registry_.gc(false).objects, 1);
  EXPECT_TRUE(registry_.objects().contains(young));
  EXPECT_FALSE(registry_.objects().contains(old));
}

TEST_F(GcTest, AnOldObjectPutAgainIsSpared) {
  const std::string hash = registry_.objects().put(as_bytes("used again"));
  make_old(registry_.objects().path(hash));
  registry_.objects().put(as_bytes("used again"));
  EXPECT_EQ(registry_.gc(false).objects, 0);
  EXPECT_TRUE(registry_.objects().contains(hash));
}

TEST_F(GcTest, OldReferencedObjectsAndRunningOperationsStay) {
  for (const std::string& hash : referenced_) make_old(registry_.objects().path(hash));
  const std::int64_t id = registry_.begin_operation({});
  registry_.gc(false, 0);
  EXPECT_EQ(registry_.objects().list(), referenced_);
  EXPECT_EQ(registry_.operation(id).outcome, Outcome::running);
}

TEST_F(GcTest, ObjectsOfUndoneAndOlderVersionsStay) {
  Commit commit = next_commit(registry_, "base");
  commit.manifest.parts[0].object_hash = registry_.objects().put(as_bytes("undone"));
  const std::string second = commit_now(registry_, commit).version.hash;
  OperationStart undo;
  undo.model = "base";
  registry_.move_model(registry_.begin_operation(undo), "base", second, version_);
  EXPECT_EQ(registry_.gc(false, 0).objects, 0);
  EXPECT_EQ(registry_.manifest(second), commit.manifest);
}

TEST_F(GcTest, WhatALivingOperationHasWrittenIsItsOwnHoweverOld) {
  Registry other = Registry::open(folder_.path(), OpenMode::read_write);
  const std::int64_t id = other.begin_operation({});
  for (const auto& lock : fs::directory_iterator(registry_.folder() / "running")) make_old(lock.path());
  const std::string hash = other.objects().put(as_bytes("of a long import"));
  other.objects().flush();
  other.objects().put(as_bytes("not named yet"));
  EXPECT_EQ(registry_.gc(false, 0).objects + registry_.gc(false, 0).temporaries, 0);
  EXPECT_TRUE(registry_.objects().contains(hash));
  other.finish_operation(id, Outcome::failed);
  EXPECT_EQ(registry_.gc(false, 0).objects, 1);
}

TEST_F(GcTest, WhatNobodyHasPutIsNotSparedForTheSakeOfALivingOperation) {
  Registry other = Registry::open(folder_.path(), OpenMode::read_write);
  const std::int64_t failed = other.begin_operation({}), id = other.begin_operation({});
  const std::string kept = registry_.objects().put(as_bytes("of nobody, then of the operation"));
  registry_.objects().put(as_bytes("of nobody"));
  registry_.objects().flush();
  make_old(registry_.objects().path(kept));
  other.objects().put(as_bytes("of nobody, then of the operation"));
  other.finish_operation(failed, Outcome::failed);
  EXPECT_EQ(registry_.gc(false, 0).objects, 1);
  EXPECT_TRUE(registry_.objects().contains(kept));
  other.finish_operation(id, Outcome::failed);
  other.objects().put(as_bytes("after its end"));
  other.objects().flush();
  EXPECT_EQ(registry_.gc(false, 0).objects, 2);
}

TEST_F(GcTest, WhatWasWrittenSinceALivingOperationBeganStaysThoughItHasClaimedObjectsSince) {
  const fs::path early = registry_.folder() / ".tmp-before", late = registry_.folder() / ".tmp-since";
  for (const fs::path& file : {early, late}) write_file_atomically(file, as_bytes("12"));
  Registry other = Registry::open(folder_.path(), OpenMode::read_write);
  const std::int64_t id = other.begin_operation({});
  const auto now = fs::file_time_type::clock::now();
  for (const auto& lock : fs::directory_iterator(registry_.folder() / "running")) {
    fs::last_write_time(lock.path(), now - std::chrono::hours(4));
  }
  fs::last_write_time(early, now - std::chrono::hours(5));
  fs::last_write_time(late, now - std::chrono::hours(3));
  for (const char* text : {"a claim", "and one more"}) other.objects().put(as_bytes(text));
  registry_.gc(false, 0);
  EXPECT_FALSE(fs::exists(early));
  EXPECT_TRUE(fs::exists(late));
  other.finish_operation(id, Outcome::failed);
  registry_.gc(false, 0);
  EXPECT_FALSE(fs::exists(late));
}

TEST_F(GcTest, AClaimAfterOneThatWasCutOffHolds) {
  Registry other = Registry::open(folder_.path(), OpenMode::read_write);
  const std::int64_t id = other.begin_operation({});
  for (const auto& lock : fs::directory_iterator(registry_.folder() / "running")) {
    std::ofstream(lock.path()) << "began 17";
  }
  const std::string hash = other.objects().put(as_bytes("claimed"));
  other.objects().flush();
  EXPECT_EQ(registry_.gc(false, 0).objects, 0);
  EXPECT_TRUE(registry_.objects().contains(hash));
  other.finish_operation(id, Outcome::failed);
}

TEST_F(GcTest, RemovesNothingWhileTheClaimsOfALivingOperationCannotBeRead) {
  const std::string hash = registry_.objects().put(as_bytes("whose?"));
  registry_.objects().flush();
  const fs::path lock = registry_.folder() / "running" / "0123456789ab";
  fs::create_directory(lock);  // can be locked, but not read
  const int held = ::open(lock.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  ASSERT_EQ(::flock(held, LOCK_EX | LOCK_NB), 0);
  EXPECT_THAT(error_of([&] { registry_.gc(false, 0); }), HasSubstr("can't read"));
  EXPECT_TRUE(registry_.objects().contains(hash));
  ::close(held);
  EXPECT_EQ(registry_.gc(false, 0).objects, 1);
}

TEST_F(GcTest, AnObjectIsClaimedOrGoneWhoeverIsFaster) {
  Registry other = Registry::open(folder_.path(), OpenMode::read_write);
  for (int round = 0; round < 40; ++round) {
    const std::string text = "round " + std::to_string(round);
    registry_.objects().put(as_bytes(text));
    registry_.objects().flush();
    std::thread gc([&] { Registry::open(folder_.path(), OpenMode::read_write).gc(false, 0); });
    const std::int64_t id = other.begin_operation({});
    const std::string hash = other.objects().put(as_bytes(text));
    gc.join();
    EXPECT_TRUE(other.objects().contains(hash)) << round;
    other.finish_operation(id, Outcome::failed);
  }
}

TEST_F(GcTest, LeftoversGoFromAllFoldersUnlessSomebodyWritesThem) {
  for (const char* folder : {"cache", "runs/0123", "runs/0123/review", "."}) {
    fs::create_directories(registry_.folder() / folder);
    write_file_atomically(registry_.folder() / folder / ".tmp-left", as_bytes("12"));
    write_file_atomically(registry_.folder() / folder / "kept", as_bytes("12"));
  }
  const FileLock writing(registry_.folder() / "cache" / ".tmp-being-written");
  EXPECT_EQ(Registry::sweep(folder_.path(), true, 0).temporaries, 4);
  EXPECT_EQ(Registry::sweep(folder_.path(), false, 0).bytes, 8);
  EXPECT_EQ(registry_.gc(false, 0).temporaries, 0);
  EXPECT_TRUE(fs::exists(registry_.folder() / "cache" / ".tmp-being-written"));
  EXPECT_TRUE(fs::exists(registry_.folder() / "runs/0123/review/kept"));
}

TEST_F(GcTest, ARegistryWithoutVersionsIsNoReasonToRemoveEverything) {
  const TemporaryFolder folder;
  Registry empty = Registry::create(folder.path());
  const std::string hash = empty.objects().put(as_bytes("all that is left"));
  for (const bool dry_run : {false, true}) {
    EXPECT_THAT(error_of([&] { empty.gc(dry_run, 0); }), HasSubstr("no version names any of the objects"));
  }
  EXPECT_TRUE(empty.objects().contains(hash));
}

TEST_F(GcTest, ACommitBesideItIsWaitedFor) {
  Commit commit = next_commit(registry_, "base");
  const std::string hash = registry_.objects().put(as_bytes("just committed"));
  commit.manifest.parts[0].object_hash = hash;
  registry_.objects().flush();
  std::thread gc;
  registry_.atomically([&] {
    commit_now(registry_, commit);
    gc = std::thread([&] { Registry::open(folder_.path(), OpenMode::read_write).gc(false, 0); });
    std::this_thread::sleep_for(std::chrono::milliseconds(300));  // without the wait it is long done by then
  });
  gc.join();
  EXPECT_TRUE(registry_.objects().contains(hash));
}

TEST_F(GcTest, ARegistryThatHasLostRowsLosesNoObjects) {
  SQLite::Database((registry_.folder() / "registry.db").string(), SQLite::OPEN_READWRITE)
      .exec("PRAGMA foreign_keys = OFF; DELETE FROM objects");
  EXPECT_THAT(error_of([&] { registry_.gc(false, 0); }), HasSubstr("is damaged, so nothing was removed"));
  EXPECT_EQ(registry_.objects().list(), referenced_);
}

}  // namespace
}  // namespace mformer::testing
