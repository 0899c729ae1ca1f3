#include "modules_registry/database.h"

#include <sqlite3.h>
#include <unistd.h>

#include <chrono>
#include <system_error>
#include <thread>
#include <utility>

namespace mformer {

namespace {

namespace fs = std::filesystem;

constexpr int kBusyTimeoutMs = 10'000;

[[noreturn]] void fail_on(const fs::path& file, const SQLite::Exception& exception) {
  const std::string where = "'" + file.string() + "'";
  switch (exception.getErrorCode()) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      throw Error("another command has been writing to the registry " + where + " for more than 10 seconds",
                  "wait for it to end, then run the command again");
    case SQLITE_FULL:
      throw Error("no space is left to write the registry " + where,
                  "free some space (mformer gc removes files that no version uses), then run the command again");
    case SQLITE_IOERR:
      throw Error("can't read or write the registry " + where + ": " + exception.what(),
                  "check the disk and its free space (and limits on file size), then run the command again");
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_CANTOPEN:
      throw Error("can't open or write the registry " + where + ": " + exception.what(),
                  "check the permissions of the folder and the files in it");
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      throw Error("the registry " + where + " is damaged: " + exception.what(),
                  "restore the .mformer folder from a copy; the files in objects/ may still be whole");
    default:
      throw Error("the registry " + where + " refused: " + exception.what(), "mformer fsck checks the registry");
  }
}

/// SQLite wants to write beside a write-ahead log even for reading. In a folder where that is impossible and no log
/// waits, the file can't change while we read: "immutable" says so.
bool is_immutable(const fs::path& file) {
  if (::access(file.parent_path().c_str(), W_OK) == 0) return false;
  std::error_code missing;
  const auto log_size = fs::file_size(file.string() + "-wal", missing);
  return missing || log_size == 0;
}

std::string uri(const fs::path& file, bool immutable) {
  std::string text = "file:";
  for (const char c : file.string()) {
    if (c == '%' || c == '?' || c == '#') {
      constexpr std::string_view kDigits = "0123456789ABCDEF";
      text += '%';
      text += kDigits[static_cast<unsigned char>(c) >> 4];
      text += kDigits[static_cast<unsigned char>(c) & 15];
    } else {
      text += c;
    }
  }
  return immutable ? text + "?immutable=1" : text;
}

SQLite::Database connect(const fs::path& file, Database::Mode mode) {
  try {
    if (mode == Database::Mode::read_only) {
      return SQLite::Database(uri(file, is_immutable(file)), SQLite::OPEN_READONLY | SQLite::OPEN_URI, kBusyTimeoutMs);
    }
    const int create = mode == Database::Mode::create ? SQLite::OPEN_CREATE : 0;
    return SQLite::Database(file.string(), SQLite::OPEN_READWRITE | create, kBusyTimeoutMs);
  } catch (const SQLite::Exception& exception) {
    fail_on(file, exception);
  }
}

/// When two processes open a new database at once, SQLite says "busy" here instead of waiting.
int use_write_ahead_log(SQLite::Database& connection) {
  constexpr int kPauseMs = 10;
  for (int waited_ms = 0;; waited_ms += kPauseMs) {
    const int code = connection.tryExec("PRAGMA journal_mode = WAL");
    if (code != SQLITE_BUSY || waited_ms >= kBusyTimeoutMs) return code;
    std::this_thread::sleep_for(std::chrono::milliseconds(kPauseMs));
  }
}

SQLite::Transaction begin(Database& db, SQLite::TransactionBehavior behavior) {
  try {
    return SQLite::Transaction(db.connection(), behavior);
  } catch (const SQLite::Exception& exception) {
    db.fail(exception);
  }
}

SQLite::Statement prepare(Database& db, const std::string& sql) {
  try {
    return {db.connection(), sql};
  } catch (const SQLite::Exception& exception) {
    db.fail(exception);
  }
}

}  // namespace

Database::Database(fs::path file, Mode mode) : file_(std::move(file)), connection_(connect(file_, mode)) {
  script("PRAGMA foreign_keys = ON");
  if (mode == Mode::read_only) return;
  const int code = use_write_ahead_log(connection_);
  if (code != SQLITE_OK) fail(SQLite::Exception(connection_.getHandle(), code));
  script("PRAGMA synchronous = FULL");
}

void Database::script(const std::string& sql) {
  try {
    connection_.exec(sql);
  } catch (const SQLite::Exception& exception) {
    fail(exception);
  }
}

void Database::fail(const SQLite::Exception& exception) const {
  fail_on(file_, exception);
}

Query::Query(Database& db, const std::string& sql) : db_(db), statement_(prepare(db, sql)) {}

bool Query::next() {
  try {
    return statement_.executeStep();
  } catch (const SQLite::Exception& exception) {
    db_.fail(exception);
  }
}

int Query::run() {
  try {
    return statement_.exec();
  } catch (const SQLite::Exception& exception) {
    db_.fail(exception);
  }
}

WriteTransaction::WriteTransaction(Database& db)
    : db_(db), transaction_(begin(db, SQLite::TransactionBehavior::IMMEDIATE)) {}

void WriteTransaction::commit() {
  try {
    transaction_.commit();
  } catch (const SQLite::Exception& exception) {
    db_.fail(exception);
  }
}

ReadTransaction::ReadTransaction(Database& db) : transaction_(begin(db, SQLite::TransactionBehavior::DEFERRED)) {}

}  // namespace mformer
