// The points of faults.so in SQL: steps of statements that write, and what goes through sqlite3_exec. A step that fails
// with IOERR leaves the transaction open, one that fails with FULL has rolled it back: SQLite does both.
#pragma once

#include <strings.h>

typedef struct sqlite3 sqlite3;
typedef struct sqlite3_stmt sqlite3_stmt;
enum { kSqliteFull = 13, kSqliteIoError = 10 };

static __thread int sql_depth = 0;  // SQLite calls itself
static __thread int faked = 0;      // what the last call said, if it was not SQLite that said it

#define SQLITE(type, name, ...)                 \
  static type (*name##_of_sqlite)(__VA_ARGS__); \
  if (name##_of_sqlite == NULL) *(void**)&name##_of_sqlite = dlsym(RTLD_DEFAULT, "sqlite3_" #name)

/// 0, or the code with which the call is to fail.
static int sql_point(sqlite3* db, const char* what) {
  SQLITE(const char*, db_filename, sqlite3*, const char*);
  SQLITE(int, get_autocommit, sqlite3*);
  SQLITE(int, exec, sqlite3*, const char*, void*, void*, char**);
  const char* file = db_filename_of_sqlite(db, "main");
  if (file == NULL || !is_watched(file)) return 0;
  char line[160];
  snprintf(line, sizeof line, "%.*s", (int)strcspn(what, "\n") > 120 ? 120 : (int)strcspn(what, "\n"), what);
  const int code = point("sql", line, kSpace);
  if (code == 0) return 0;
  if (code != ENOSPC) return kSqliteIoError;
  ++sql_depth;
  if (!get_autocommit_of_sqlite(db)) exec_of_sqlite(db, "ROLLBACK", NULL, NULL, NULL);
  --sql_depth;
  return kSqliteFull;
}

int sqlite3_step(sqlite3_stmt* statement) {
  REAL(int, "sqlite3_step", sqlite3_stmt*);
  SQLITE(int, stmt_readonly, sqlite3_stmt*);
  SQLITE(sqlite3*, db_handle, sqlite3_stmt*);
  SQLITE(const char*, sql, sqlite3_stmt*);
  if (sql_depth == 0) faked = 0;
  const int is_point = below_length > 0 && sql_depth == 0 && !stmt_readonly_of_sqlite(statement);
  if (is_point && (faked = sql_point(db_handle_of_sqlite(statement), sql_of_sqlite(statement))) != 0) return faked;
  ++sql_depth;
  const int code = real(statement);
  --sql_depth;
  if (is_point) after();
  return code;
}

int sqlite3_exec(sqlite3* db, const char* sql, void* take, void* argument, char** message) {
  REAL(int, "sqlite3_exec", sqlite3*, const char*, void*, void*, char**);
  if (sql_depth == 0) faked = 0;
  const int may_fail = strncasecmp(sql, "PRAGMA", 6) != 0 && strncasecmp(sql, "ROLLBACK", 8) != 0;
  const int is_point = below_length > 0 && sql_depth == 0 && may_fail;
  if (is_point && (faked = sql_point(db, sql)) != 0) return faked;
  ++sql_depth;
  const int code = real(db, sql, take, argument, message);
  --sql_depth;
  if (is_point) after();
  return code;
}

int sqlite3_errcode(sqlite3* db) {
  REAL(int, "sqlite3_errcode", sqlite3*);
  return faked != 0 && sql_depth == 0 ? faked : real(db);
}
int sqlite3_extended_errcode(sqlite3* db) {
  REAL(int, "sqlite3_extended_errcode", sqlite3*);
  return faked != 0 && sql_depth == 0 ? faked : real(db);
}
const char* sqlite3_errmsg(sqlite3* db) {
  REAL(const char*, "sqlite3_errmsg", sqlite3*);
  SQLITE(const char*, errstr, int);
  return faked != 0 && sql_depth == 0 ? errstr_of_sqlite(faked) : real(db);
}
