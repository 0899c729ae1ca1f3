#include <SQLiteCpp/SQLiteCpp.h>
#include <gmock/gmock.h>

#include <fstream>

#include "registry_fixture.h"

namespace mformer::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

/// A sound registry is broken in one way; fsck must say what.
class DamageTest : public RegistryTest {
 protected:
  void SetUp() override {
    commit_now(registry_, new_model(registry_, "base", "x"));
    commit_now(registry_, next_commit(registry_, "base"));
    object_ = registry_.manifest(registry_.resolve("base").hash).layers[0].mlp[1].object_hash;
    ASSERT_THAT(registry_.fsck(), IsEmpty());
  }

  void sql(const std::string& statement) {
    SQLite::Database db((registry_.folder() / "registry.db").string(), SQLite::OPEN_READWRITE, 1000);
    db.exec("PRAGMA foreign_keys = OFF");
    db.exec(statement);
  }

  std::string object_;
};

TEST_F(DamageTest, AMissingObjectIsNamed) {
  registry_.objects().remove(object_);
  EXPECT_THAT(registry_.fsck(), ElementsAre("object " + object_ + " is missing"));
}

TEST_F(DamageTest, ATruncatedObjectIsNamed) {
  const fs::path file = registry_.objects().path(object_);
  fs::permissions(file, fs::perms::owner_write | fs::perms::owner_read);
  fs::resize_file(file, 3);
  EXPECT_THAT(registry_.fsck(), ElementsAre(AllOf(HasSubstr(object_), HasSubstr("has 3 bytes instead of 9"))));
}

TEST_F(DamageTest, OneChangedByteIsFound) {
  const fs::path file = registry_.objects().path(object_);
  fs::permissions(file, fs::perms::owner_write | fs::perms::owner_read);
  std::fstream(file, std::ios::in | std::ios::out).seekp(4).put('!');
  EXPECT_THAT(registry_.fsck(), ElementsAre(AllOf(HasSubstr(object_), HasSubstr("is damaged"))));
}

TEST_F(DamageTest, EveryProblemIsListed) {
  registry_.objects().remove(object_);
  registry_.objects().remove(registry_.manifest(registry_.resolve("base").hash).parts[0].object_hash);
  EXPECT_EQ(registry_.fsck().size(), 2U);
}

TEST_F(DamageTest, AReferenceToAMissingRowIsFound) {
  sql("DELETE FROM modules WHERE uid = (SELECT min(uid) FROM modules)");
  EXPECT_THAT(registry_.fsck(), Contains(HasSubstr("a row of revisions refers to a missing row of modules")));
}

TEST_F(DamageTest, AnAlteredManifestIsFound) {
  sql("UPDATE bank_modules SET frozen = 1 WHERE position = 0 AND bank_id = (SELECT max(id) FROM banks)");
  EXPECT_THAT(registry_.fsck(), Contains(HasSubstr("does not have the manifest and parent")));
}

TEST_F(DamageTest, AnAlteredParentIsFound) {
  sql("UPDATE versions SET parent_hash = NULL WHERE number = 2");
  EXPECT_THAT(registry_.fsck(), Contains(HasSubstr("does not have the manifest and parent")));
}

TEST_F(DamageTest, ALostLayerIsFound) {
  sql("DELETE FROM version_banks WHERE bank_id IN (SELECT id FROM banks WHERE layer = 0)");
  EXPECT_THAT(registry_.fsck(), Not(IsEmpty()));
}

TEST_F(DamageTest, AModuleInAForeignPlaceIsFound) {
  sql("UPDATE modules SET layer = 5 WHERE uid = (SELECT min(uid) FROM modules)");
  EXPECT_THAT(registry_.fsck(), Contains(HasSubstr("in a layer or kind that is not its own")));
}

TEST_F(DamageTest, ARevisionOfAForeignParentIsFound) {
  sql("UPDATE revisions SET parent_id = 1 WHERE id = 3");
  EXPECT_THAT(registry_.fsck(), Contains(HasSubstr("has a parent of another module")));
}

TEST_F(DamageTest, OverwrittenPagesOfTheDatabaseAreReportedNotFollowed) {
  const fs::path copy = folder_.path() / "copy";
  sql("PRAGMA wal_checkpoint(TRUNCATE)");
  fs::create_directories(copy);
  fs::copy(registry_.folder(), copy / ".mformer", fs::copy_options::recursive);
  const fs::path database = copy / ".mformer" / "registry.db";
  std::string bytes = read_file(database);
  ASSERT_GT(bytes.size(), 4U * 4096);
  bytes.replace(2 * 4096, bytes.size() - 2 * 4096, bytes.size() - 2 * 4096, '\xa5');
  write_file_atomically(database, as_bytes(bytes));
  std::vector<std::string> problems;
  try {
    problems = Registry::open(copy, OpenMode::read_only).fsck();
  } catch (const Error& error) {
    problems.emplace_back(error.what());
  }
  EXPECT_THAT(problems, Not(IsEmpty()));
}

}  // namespace
}  // namespace mformer::testing
