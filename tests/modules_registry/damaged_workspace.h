#pragma once

#include <SQLiteCpp/SQLiteCpp.h>
#include <gmock/gmock.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "registry_fixture.h"

namespace mformer::testing {

namespace fs = std::filesystem;
using Strings = std::vector<std::string>;

/// Rows in every table, written in every way that there is: inserted, updated, replaced, deleted, cascaded.
inline void fill(Registry& registry) {
  const std::string first = commit_now(registry, new_model(registry, "base", "x")).version.hash;
  Commit second = next_commit(registry, "base");
  add_modules(registry, second, "y");
  second.message = "a second one";
  const std::string hash = commit_now(registry, second).version.hash;
  commit_now(registry, new_model(registry, "other", "z", 1, 1));
  OperationStart start{"task add", R"({"name": "qa"})", 3, "1.0", "base", {{"train", "qa", "/data/qa", "beef"}}};
  const std::int64_t operation = registry.begin_operation(start);
  for (const char* content :
       {"old data", "new data"}) {  // the second replaces the first, whose score stays out of sight
    registry.add_task({"qa", "/data/qa", content, 10, 2, "rule", operation, 0}, true);
    registry.put_score({hash, "qa", "held_out", "loss", 4.5, 10, operation, 0});
    registry.put_score({hash, "qa", "held_out", "loss", 4.25, 10, operation, 0});
  }
  registry.put_score({first, "qa", "held_out", "loss", 5.5, 10, 0, 0});
  std::vector<RoutingStat> stats;
  for (const ModuleRecord& module : registry.modules(hash)) {
    stats.push_back({module.layer, module.kind, module.uid, 3, 1.5, 2.5, 10});
  }
  registry.put_routing_stats(hash, "qa", stats);
  registry.put_routing_stats(hash, "qa", stats);
  registry.finish_operation(operation, Outcome::done, "added");
  OperationStart tagging;
  tagging.command = "tag";
  registry.make_tag(registry.begin_operation(tagging), "first", first);
  registry.set_setting("key", "old value");
  registry.set_setting("key", "value");
  registry.set_current_model("other");
}

inline Strings column(SQLite::Database& db, const std::string& sql) {
  SQLite::Statement rows(db, sql);
  Strings texts;
  while (rows.executeStep()) texts.push_back(rows.getColumn(0).getString());
  return texts;
}

inline Strings tables_of(SQLite::Database& db) {
  return column(db, "SELECT name FROM sqlite_master WHERE type = 'table'");
}

/// Every row of every table, as text.
inline Strings dump(const fs::path& database) {
  SQLite::Database db(database.string(), SQLite::OPEN_READONLY);
  Strings rows;
  for (const std::string& table : tables_of(db)) {
    SQLite::Statement all(db, "SELECT * FROM " + table);
    while (all.executeStep()) {
      std::string& row = rows.emplace_back(table);
      for (int i = 0; i < all.getColumnCount(); ++i) row += "|" + all.getColumn(i).getString();
    }
  }
  return rows;
}

/// What the program says about a workspace: fsck's problems, or why it can't be opened.
inline Strings problems_of(const fs::path& dir) {
  try {
    return Registry::open(dir, OpenMode::read_only).fsck();
  } catch (const Error& error) {
    return {error.what()};
  }
}

class IntegrityTest : public ::testing::Test {
 protected:
  void SetUp() override {
    Registry registry = Registry::create(dir());
    fill(registry);
    ASSERT_THAT(registry.fsck(), ::testing::IsEmpty()) << "the program's own writes keep the seals whole";
  }

  fs::path dir() const { return folder_.path() / "work"; }
  fs::path database() const { return dir() / ".mformer" / "registry.db"; }

  /// A copy with the same objects, replaced by every call.
  fs::path copy() const {
    const fs::path made = folder_.path() / "copy";
    fs::remove_all(made);
    fs::create_directories(made / ".mformer");
    for (const char* name : {"registry.db", "registry.db-wal", "changes"}) {
      std::error_code missing;
      fs::copy_file(dir() / ".mformer" / name, made / ".mformer" / name, missing);
    }
    fs::create_directory_symlink(dir() / ".mformer" / "objects", made / ".mformer" / "objects");
    return made;
  }

  static void sql(const fs::path& dir, const std::string& statement) {
    SQLite::Database db((dir / ".mformer" / "registry.db").string(), SQLite::OPEN_READWRITE, 1000);
    db.exec("PRAGMA foreign_keys = OFF; PRAGMA ignore_check_constraints = ON; " + statement);
  }

  Strings problems_after(const std::string& statement) const {
    const fs::path changed = copy();
    sql(changed, statement);
    return problems_of(changed);
  }

  /// Two more versions that lie in the log alone, as a process leaves it that is killed right after its commit.
  void leave_a_log() const {
    ASSERT_EQ(in_child([&]() -> int {
                Registry registry = Registry::open(dir(), OpenMode::read_write);
                commit_now(registry, next_commit(registry, "base"));
                commit_now(registry, next_commit(registry, "base"));
                ::_exit(0);
              }),
              0);
    ASSERT_GT(fs::file_size(database().string() + "-wal"), 10'000U);
  }

  TemporaryFolder folder_;
};

}  // namespace mformer::testing
