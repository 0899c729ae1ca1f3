#pragma once

#include <span>
#include <string_view>

namespace mformer {

/// One file of schema/, compiled in. Its number is the first four digits of its name.
struct Migration {
  int number;
  std::string_view name;  ///< file name without ".sql"
  std::string_view sql;
};

/// All migrations, numbered 1, 2, … without gaps. A workspace's schema is the highest number applied to it.
std::span<const Migration> migrations();

/// Makes the table in which applied migrations are written down.
inline constexpr const char* kMigrationsTable =
    "CREATE TABLE IF NOT EXISTS schema_migrations (number INTEGER PRIMARY KEY, name TEXT NOT NULL, "
    "applied_ms INTEGER NOT NULL) STRICT";

}  // namespace mformer
