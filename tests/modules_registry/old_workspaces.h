#pragma once

#include <map>

#include "damaged_workspace.h"

namespace mformer::testing {

/// Schemas of released programs. tests/data/registry/000N.sql is a dump of a workspace that the program of schema N
/// made; they stay for ever. (No program of schema 6 was released: the one of 7 made its dump, without that migration.)
inline constexpr int kOldSchemas[] = {1, 2, 3, 4, 5, 6, 7};
inline constexpr int kBanks =
    6;  ///< the first that keeps versions' modules in banks, and measurements with what they were taken on

/// Makes workspaces as released programs left them.
class OldWorkspaces {
 public:
  OldWorkspaces() {
    // The texts of which the objects of all those workspaces were made.
    Registry same = Registry::create(folder_.path() / "same");
    Commit commit = new_model(same, "base", "x");
    add_modules(same, commit, "y");
    new_model(same, "other", "z", 1, 1);
    same.objects().flush();
  }

  fs::path make(int schema, const std::string& name) const {
    const fs::path dir = folder_.path() / name;
    fs::create_directories(dir / ".mformer" / "running");
    fs::create_directory_symlink(folder_.path() / "same" / ".mformer" / "objects", dir / ".mformer" / "objects");
    SQLite::Database db((dir / ".mformer" / "registry.db").string(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    db.exec("PRAGMA synchronous = OFF");
    db.exec(read_file(fs::path(MFORMER_TEST_DATA) / "registry" / ("000" + std::to_string(schema) + ".sql")));
    db.exec("PRAGMA journal_mode = WAL");
    return dir;
  }

 private:
  TemporaryFolder folder_;
};

/// The rows of a query, as texts.
inline Strings rows_of(SQLite::Database& db, const std::string& sql) {
  SQLite::Statement rows(db, sql);
  Strings texts;
  while (rows.executeStep()) {
    std::string& text = texts.emplace_back();
    for (int i = 0; i < rows.getColumnCount(); ++i) {
      text += rows.isColumnNull(i) ? "|NULL" : "|" + rows.getColumn(i).getString();
    }
  }
  return texts;
}

/// Everything that a workspace of an old schema says, as queries whose answers a migration must not change, by name.
/// With `now` the same questions to a registry of today.
inline std::map<std::string, std::string> questions(SQLite::Database& old, bool now) {
  std::map<std::string, std::string> asked;
  for (const std::string& table : tables_of(old)) {
    if (table == "seals" || table == "schema_migrations" || table.starts_with("sqlite_")) continue;
    std::string columns;
    for (const std::string& name : column(old, "SELECT name FROM pragma_table_info('" + table + "')")) {
      columns += (columns.empty() ? "" : ", ") + name;
    }
    asked[table] = "SELECT " + columns + " FROM " + table + " ORDER BY " + columns;
  }
  for (const std::string& view :
       column(old, "SELECT name FROM sqlite_master WHERE type = 'view' AND name LIKE 'v\\_%' ESCAPE '\\'")) {
    asked[view] = "SELECT * FROM " + view;
  }
  if (!now || asked.contains("banks")) return asked;  // since then nothing was changed but added to
  const std::string version = " JOIN versions ON versions.id = version_id ";
  const std::string bank = version + "JOIN banks ON banks.id = bank_id ";
  asked["version_parts"] = "SELECT versions.hash, position, name, objects.hash FROM version_parts" + version +
                           "JOIN parts ON parts.id = part_id JOIN objects ON objects.id = object_id ORDER BY 1, 2";
  asked["version_layers"] =
      "SELECT versions.hash, layer, max(CASE kind WHEN 'att' THEN objects.hash END), "
      "max(CASE kind WHEN 'mlp' THEN objects.hash END) FROM version_banks" +
      bank + "LEFT JOIN objects ON objects.id = router_id GROUP BY 1, 2 ORDER BY 1, 2";
  asked["version_modules"] = "SELECT versions.hash, layer, kind, position, revision_id, frozen FROM version_banks" +
                             bank + "JOIN bank_modules USING (bank_id) ORDER BY 1, 2, 3, 4";
  asked["routing_stats"] =
      "SELECT versions.hash, name, modules.layer, modules.kind, module_uid, slots, gate_mass, weighted_output_norm, "
      "tokens FROM routing_stats JOIN routings ON routings.id = routing_id" +
      version +
      "JOIN tasks ON tasks.id = task_id JOIN revisions ON revisions.id = revision_id "
      "JOIN modules ON modules.uid = module_uid WHERE split = '' AND token_limit = -1 ORDER BY 1, 2, 3, 4, 5";
  asked["scores"] =
      "SELECT versions.hash, name, split, metric || CASE part WHEN -1 THEN '' ELSE '.' || part END || "
      "CASE token_limit WHEN -1 THEN '' ELSE '@' || token_limit END, value, scores.token_count, scores.operation_id, "
      "scores.created_ms FROM scores" +
      version + "JOIN tasks ON tasks.id = task_id ORDER BY 1, 2, 3, 4";
  return asked;
}

}  // namespace mformer::testing
