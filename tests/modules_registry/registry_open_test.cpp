#include <SQLiteCpp/SQLiteCpp.h>
#include <gmock/gmock.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <thread>

#include "modules_registry/schema.h"
#include "registry_fixture.h"

namespace mformer::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class RegistryOpenTest : public ::testing::Test {
 protected:
  void sql(const std::string& statement) {
    SQLite::Database(database().string(), SQLite::OPEN_READWRITE).exec(statement);
  }
  fs::path database() const { return folder_.path() / ".mformer" / "registry.db"; }
  fs::path dir() const { return folder_.path(); }

  TemporaryFolder folder_;
};

TEST_F(RegistryOpenTest, ANewWorkspaceIsEmptyAndSound) {
  const Registry registry = Registry::create(dir() / "new" / "place");
  EXPECT_EQ(registry.folder(), dir() / "new" / "place" / ".mformer");
  EXPECT_THAT(registry.models(), IsEmpty());
  EXPECT_THAT(registry.tasks(), IsEmpty());
  EXPECT_THAT(registry.operations(), IsEmpty());
  EXPECT_EQ(registry.current_model(), "");
  EXPECT_THAT(registry.fsck(), IsEmpty());
}

TEST_F(RegistryOpenTest, AnExistingWorkspaceIsNeverCreatedAgain) {
  Registry::create(dir()).set_setting("key", "value");
  EXPECT_THAT(error_of([&] { Registry::create(dir()); }), HasSubstr("there is a workspace already"));
  EXPECT_EQ(Registry::open(dir(), OpenMode::read_only).setting("key"), "value");
}

TEST_F(RegistryOpenTest, CreationKilledHalfwayCanBeRepeated) {
  fs::create_directories(dir() / ".mformer");
  write_file_atomically(database(), as_bytes(""));
  EXPECT_THAT(error_of([&] { Registry::open(dir(), OpenMode::read_only); }), HasSubstr("init"));
  EXPECT_NO_THROW(Registry::create(dir()));
  EXPECT_NO_THROW(Registry::open(dir(), OpenMode::read_only));
}

TEST_F(RegistryOpenTest, AMissingWorkspaceSaysHowToMakeOne) {
  for (const OpenMode mode : {OpenMode::read_only, OpenMode::read_write}) {
    EXPECT_THAT(error_of([&] { Registry::open(dir(), mode); }),
                AllOf(HasSubstr("no workspace in"), HasSubstr("mformer init")));
  }
  EXPECT_FALSE(fs::exists(dir() / ".mformer"));
}

TEST_F(RegistryOpenTest, FindLooksUpwards) {
  EXPECT_EQ(Registry::find(dir()), std::nullopt);
  Registry::create(dir());
  fs::create_directories(dir() / "a" / "b");
  EXPECT_EQ(Registry::find(dir() / "a" / "b"), dir());
  EXPECT_EQ(Registry::find(dir()), dir());
  Registry::create(dir() / "a");
  EXPECT_EQ(Registry::find(dir() / "a" / "b"), dir() / "a") << "the nearest wins";
  EXPECT_NO_THROW(Registry::open(dir() / ".mformer", OpenMode::read_only)) << "the folder itself may be named";
}

TEST_F(RegistryOpenTest, MigrationsAreNumberedWithoutGapsAndRecorded) {
  for (int number = 1; const Migration& migration : migrations()) EXPECT_EQ(migration.number, number++);
  Registry::create(dir());
  SQLite::Database db(database().string());
  EXPECT_EQ(db.execAndGet("SELECT count(*) FROM schema_migrations").getInt(), static_cast<int>(migrations().size()));
  EXPECT_EQ(db.execAndGet("SELECT name FROM schema_migrations WHERE number = 1").getString(), "0001_initial");
}

TEST_F(RegistryOpenTest, EveryTableIsStrict) {
  Registry::create(dir());
  SQLite::Database db(database().string());
  EXPECT_EQ(db.execAndGet("SELECT count(*) FROM pragma_table_list WHERE type = 'table' AND strict = 0 "
                          "AND name NOT LIKE 'sqlite_%'")
                .getInt(),
            0);
}

TEST_F(RegistryOpenTest, ANewerSchemaIsRefusedAndLeftAlone) {
  Registry::create(dir());
  sql("INSERT INTO schema_migrations VALUES (99, '0099_future', 0)");
  const std::string before = read_file(database());
  for (const OpenMode mode : {OpenMode::read_only, OpenMode::read_write}) {
    EXPECT_THAT(error_of([&] { Registry::open(dir(), mode); }),
                AllOf(HasSubstr("newer mformer (schema 99"), HasSubstr("update mformer")));
  }
  EXPECT_THAT(error_of([&] { Registry::create(dir()); }), HasSubstr("newer mformer"));
  EXPECT_EQ(read_file(database()), before);
}

TEST_F(RegistryOpenTest, ReadingNeverMigratesAnOlderSchemaButWritingDoes) {
  fs::create_directories(dir() / ".mformer");
  { SQLite::Database(database().string(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE).exec("VACUUM"); }
  sql("CREATE TABLE schema_migrations (number INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_ms INTEGER NOT NULL)");
  sql("INSERT INTO schema_migrations VALUES (-1, 'before the first', 0)");
  EXPECT_THAT(error_of([&] { Registry::open(dir(), OpenMode::read_only); }),
              AllOf(HasSubstr("older schema (-1"), HasSubstr("a command that writes")));
  EXPECT_NO_THROW(Registry::open(dir(), OpenMode::read_write));
  EXPECT_NO_THROW(Registry::open(dir(), OpenMode::read_only));
}

TEST_F(RegistryOpenTest, AFileThatIsNoDatabaseIsCalledDamaged) {
  fs::create_directories(dir() / ".mformer");
  write_file_atomically(database(), as_bytes(std::string(10'000, 'x')));
  for (const OpenMode mode : {OpenMode::read_only, OpenMode::read_write}) {
    EXPECT_THAT(error_of([&] { Registry::open(dir(), mode); }), HasSubstr("is damaged"));
  }
}

TEST_F(RegistryOpenTest, AReadOnlyRegistryRefusesToWrite) {
  Registry::create(dir());
  Registry registry = Registry::open(dir(), OpenMode::read_only);
  EXPECT_THAT(error_of([&] { registry.set_setting("key", "value"); }), HasSubstr("can't open or write"));
  EXPECT_THAT(error_of([&] { registry.begin_operation({}); }), HasSubstr("registry.db"));
  EXPECT_THAT(registry.operations(), IsEmpty());
}

class ReadOnlyFolderTest : public RegistryOpenTest {
 protected:
  void SetUp() override {
    Registry registry = Registry::create(dir());
    hash_ = commit_now(registry, new_model(registry, "base", "x")).version.hash;
  }

  /// Nobody but root can write below the workspace from now on.
  void lock() {
    for (const auto& entry : fs::recursive_directory_iterator(dir() / ".mformer")) {
      fs::permissions(entry.path(), entry.is_directory() ? fs::perms(0555) : fs::perms(0444));
    }
    fs::permissions(dir() / ".mformer", fs::perms(0555));
  }

  std::string hash_;
};

TEST_F(ReadOnlyFolderTest, ItCanBeReadAndChecked) {
  lock();
  EXPECT_EQ(in_unprivileged_child([&] {
              const Registry registry = Registry::open(dir(), OpenMode::read_only);
              return registry.resolve("base").hash == hash_ && registry.fsck().empty() ? 0 : 1;
            }),
            0);
}

TEST_F(ReadOnlyFolderTest, WhatAKilledWriterLeftInItsLogIsRead) {
  EXPECT_EQ(in_child([&]() -> int {
              Registry registry = Registry::open(dir(), OpenMode::read_write);
              registry.set_setting("key", "in the log");
              ::_exit(0);  // without closing: the write-ahead log stays
            }),
            0);
  ASSERT_GT(fs::file_size(database().string() + "-wal"), 0U);
  lock();
  EXPECT_EQ(in_unprivileged_child(
                [&] { return Registry::open(dir(), OpenMode::read_only).setting("key") == "in the log" ? 0 : 1; }),
            0);
}

TEST_F(ReadOnlyFolderTest, WhatItsOwnerWritesMeanwhileDoesNotMixIntoWhatWasOpened) {
  lock();
  int opened[2];
  int written[2];
  ASSERT_EQ(::pipe(opened) + ::pipe(written), 0);
  std::thread owner([&] {
    char byte = 0;
    EXPECT_EQ(::read(opened[0], &byte, 1), 1);
    fs::permissions(dir() / ".mformer", fs::perms(0755));
    {
      Registry registry = Registry::open(dir(), OpenMode::read_write);
      for (int i = 0; i < 20; ++i) registry.set_setting("key" + std::to_string(i), std::string(5'000, 'x'));
      commit_now(registry, next_commit(registry, "base"));
    }  // closing brings the log into the database
    EXPECT_EQ(::write(written[1], "w", 1), 1);
  });
  EXPECT_EQ(in_unprivileged_child([&] {
              const Registry registry = Registry::open(dir(), OpenMode::read_only);
              char byte = 0;
              if (::write(opened[1], "o", 1) != 1 || ::read(written[0], &byte, 1) != 1) return 2;
              return registry.resolve("base").hash == hash_ && !registry.setting("key1") ? 0 : 1;
            }),
            0);
  owner.join();
  EXPECT_EQ(Registry::open(dir(), OpenMode::read_only).resolve("base").number, 2);
}

TEST_F(ReadOnlyFolderTest, WritingIsRefusedInOneSentence) {
  lock();
  EXPECT_EQ(in_unprivileged_child([&] {
              const std::string message = error_of([&] { Registry::open(dir(), OpenMode::read_write); });
              return message.find("is read-only") != std::string::npos ? 0 : 1;
            }),
            0);
}

/// Nothing can be written any more, as on a disk without a free byte.
void forbid_writing() {
  std::signal(SIGXFSZ, SIG_IGN);
  const rlimit nothing{0, 0};
  ::setrlimit(RLIMIT_FSIZE, &nothing);
}

TEST_F(RegistryOpenTest, WithoutAByteOfSpaceReadersReadAndGarbageIsCollected) {
  {
    Registry registry = Registry::create(dir());
    commit_now(registry, new_model(registry, "base", "x"));
    registry.objects().put(as_bytes("unused"));
    registry.objects().flush();
  }
  EXPECT_EQ(in_child([&] {
              forbid_writing();
              if (Registry::open(dir(), OpenMode::read_only).resolve("base").number != 1) return 1;
              if (!Registry::open(dir(), OpenMode::read_only).fsck().empty()) return 2;
              Registry registry = Registry::open(dir(), OpenMode::read_write);
              if (registry.gc(false, 0).objects != 1) return 3;
              const std::string message = error_of([&] { registry.set_setting("key", "value"); });
              return message.find("registry.db") != std::string::npos ? 0 : 4;
            }),
            0);
  Registry registry = Registry::open(dir(), OpenMode::read_write);
  EXPECT_THAT(registry.fsck(), IsEmpty());
  EXPECT_EQ(registry.setting("key"), std::nullopt);
}

TEST_F(RegistryOpenTest, AStrangeFolderNameIsNoObstacle) {
  const fs::path strange = dir() / "50% of #1? größe";
  Registry::create(strange).set_setting("key", "value");
  EXPECT_EQ(Registry::open(strange, OpenMode::read_only).setting("key"), "value");
}

}  // namespace
}  // namespace mformer::testing
