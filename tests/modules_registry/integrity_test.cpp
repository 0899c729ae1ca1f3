#include <gmock/gmock.h>

#include <fstream>

#include "damaged_workspace.h"

namespace mformer::testing {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

/// All but one of which only workspaces of an older program have rows.
Strings filled_tables(SQLite::Database& db) {
  Strings tables = tables_of(db);
  std::erase(tables, "old_paths");
  return tables;
}

TEST_F(IntegrityTest, AChangeInAnyColumnOfAnyTableIsFound) {
  SQLite::Database db(database().string());
  for (const std::string& table : filled_tables(db)) {
    for (const std::string& name : column(db, "SELECT name FROM pragma_table_info('" + table + "')")) {
      const std::string changed = "CASE typeof(" + name + ") WHEN 'text' THEN " + name +
                                  " || 'x' WHEN 'real' THEN 1.5 * " + name +
                                  " WHEN 'blob' THEN zeroblob(56) ELSE coalesce(" + name + ", 0) + 1 END";
      const std::string null = "CASE WHEN " + name + " IS NULL AND (SELECT type FROM pragma_table_info('" + table +
                               "') WHERE name = '" + name + "') = 'TEXT' THEN 'x' ELSE " + changed + " END";
      EXPECT_THAT(problems_after("UPDATE OR REPLACE " + table + " SET " + name + " = " + null), Not(IsEmpty()))
          << table << "." << name;
    }
  }
}

TEST_F(IntegrityTest, ALostRowOfAnyTableIsFound) {
  SQLite::Database db(database().string());
  for (const std::string& table : filled_tables(db)) {
    const std::string key = column(db, "SELECT name FROM pragma_table_info('" + table + "')").front();
    EXPECT_THAT(
        problems_after("DELETE FROM " + table + " WHERE " + key + " = (SELECT max(" + key + ") FROM " + table + ")"),
        Not(IsEmpty()))
        << table;
  }
}

TEST_F(IntegrityTest, ARowMoreIsFound) {
  EXPECT_THAT(problems_after("INSERT INTO settings VALUES ('another', 'text')"),
              Contains(HasSubstr("table settings has ")));
  EXPECT_THAT(problems_after("INSERT INTO scores SELECT version_id, task_id, split, 'accuracy', part, token_limit, "
                             "value, token_count, operation_id, created_ms FROM scores"),
              Contains(HasSubstr("table scores has ")));
}

TEST_F(IntegrityTest, ARowMoreThatNoVersionHasIsFound) {
  EXPECT_THAT(problems_after("INSERT INTO banks (layer, kind) VALUES (0, 'att')"),
              Contains(HasSubstr("belongs to no version")));
  EXPECT_THAT(problems_after("INSERT INTO parts (name, object_id) SELECT 'another', min(id) FROM objects"),
              Contains(HasSubstr("belongs to no version")));
}

TEST_F(IntegrityTest, RowsThatChangePlacesAreFound) {
  EXPECT_THAT(problems_after("UPDATE scores SET value = 9.75 - value WHERE value IN (4.25, 5.5)"),
              Contains(HasSubstr("are not all as they were written")));
}

TEST_F(IntegrityTest, AChangedSchemaIsFound) {
  EXPECT_THAT(problems_after("DROP INDEX operations_running"), Contains(HasSubstr("operations_running is missing")));
  EXPECT_THAT(problems_after("CREATE TRIGGER t AFTER INSERT ON settings BEGIN DELETE FROM scores; END"),
              Contains(HasSubstr("trigger t is not mformer's")));
  EXPECT_THAT(problems_after("DROP VIEW version_objects; CREATE VIEW version_objects AS SELECT 1"),
              Contains(HasSubstr("version_objects is not as mformer made it")));
}

TEST_F(IntegrityTest, AnEditWithAnotherToolStaysPossibleAndCanBeTakenForRight) {
  sql(dir(), "UPDATE settings SET value = 'mine' WHERE key = 'key'");
  Registry registry = Registry::open(dir(), OpenMode::repair);
  EXPECT_THAT(registry.repair({}).left, Contains(HasSubstr("table settings: its "))) << "never by itself";
  EXPECT_THAT(registry.repair({{}, true}).left, IsEmpty());
  EXPECT_EQ(registry.setting("key"), "mine");
  EXPECT_THAT(problems_of(dir()), IsEmpty());
}

TEST_F(IntegrityTest, AllDamageIsListedNotTheFirst) {
  sql(dir(),
      "DELETE FROM version_banks WHERE bank_id IN (SELECT id FROM banks WHERE layer = 0); "
      "UPDATE scores SET value = 2 * value; "
      "UPDATE settings SET value = 'base' WHERE key = 'current_model'");
  const Strings problems = problems_of(dir());
  EXPECT_THAT(problems, Contains(HasSubstr("table scores")));
  EXPECT_THAT(problems, Contains(HasSubstr("table settings")));
  SQLite::Database db(database().string());
  for (const std::string& version : column(db, "SELECT hash FROM versions WHERE model = 'base'")) {
    EXPECT_THAT(problems, Contains(AllOf(HasSubstr(version), HasSubstr("lacks its layer 0"))));
  }
  EXPECT_THAT(problems, Each(Not(HasSubstr("_M_range_check"))));
}

TEST_F(IntegrityTest, WhatFollowsFromOtherThingsIsHealed) {
  sql(dir(), "UPDATE objects SET size_bytes = size_bytes + 1; UPDATE sqlite_sequence SET seq = 1000");
  const RepairResult result = Registry::open(dir(), OpenMode::repair).repair({});
  EXPECT_THAT(result.left, IsEmpty());
  EXPECT_THAT(result.healed, Contains(HasSubstr("its size was written down anew")));
  EXPECT_THAT(problems_of(dir()), IsEmpty());
}

TEST_F(IntegrityTest, ObjectsAreHealedFromACopyOfTheWorkspace) {
  const fs::path good = folder_.path() / "good";
  fs::copy(dir(), good, fs::copy_options::recursive);
  Registry registry = Registry::open(dir(), OpenMode::repair);
  const Strings objects = registry.objects().list();
  fs::remove(registry.objects().path(objects[0]));
  fs::remove(registry.objects().path(objects[1]));
  std::ofstream(registry.objects().path(objects[1])) << "other bytes";
  fs::remove(good / ".mformer" / "objects" / objects[1].substr(0, 2) / objects[1]);
  std::ofstream(good / ".mformer" / "objects" / objects[1].substr(0, 2) / objects[1]) << "a damaged copy";
  const fs::path nowhere = folder_.path() / "nowhere";
  EXPECT_THAT(error_of([&] { registry.repair({{nowhere, good}, false}); }), HasSubstr("there are no objects in"));
  const RepairResult result = registry.repair({{dir(), good}, false});
  EXPECT_THAT(result.healed, Contains(HasSubstr(objects[0])));
  EXPECT_THAT(result.left, Each(HasSubstr(objects[1])));
  EXPECT_EQ(result.left.size(), 1U);
}

}  // namespace
}  // namespace mformer::testing
