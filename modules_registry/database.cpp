#include "modules_registry/database.h"

#include <sqlite3.h>

#include <utility>

#include "modules_registry/connection.h"
#include "modules_registry/error.h"
#include "modules_registry/seals.h"

namespace mformer {

namespace {

namespace fs = std::filesystem;

SQLite::Transaction begin_reading(Database& db) {
  try {
    return SQLite::Transaction(db.connection(), SQLite::TransactionBehavior::DEFERRED);
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

Database::Database(fs::path file, Mode mode)
    : file_(std::move(file)),
      connection_(mode == Mode::read_only ? connect_to_read(file_) : connect_to_write(file_, mode == Mode::create)),
      change_count_(file_.parent_path() / "changes") {
  add_seal_functions(connection_.getHandle());
  script("PRAGMA foreign_keys = ON");
  script("PRAGMA temp_store = MEMORY");  // triggers and sorting need no space on disk
  if (mode != Mode::read_only) script("PRAGMA synchronous = FULL");
}

void Database::stop_when(std::function<bool()> should_stop) {
  should_stop_ = std::move(should_stop);
  constexpr int kSteps = 1'000'000;  // of SQLite's machine: some ten milliseconds
  sqlite3_progress_handler(connection_.getHandle(), kSteps, &Database::is_to_stop, this);
}

int Database::is_to_stop(void* self) {
  const auto& db = *static_cast<const Database*>(self);
  return db.open_transactions_ == 0 && db.should_stop_ && db.should_stop_() ? 1 : 0;
}

void Database::require_going_on() const {
  if (should_stop_ && should_stop_()) throw_stopped(file_);
}

void Database::note_commit() {
  try {
    if (const auto changes = sealed_changes(*this)) change_count_.raise(*changes);
  } catch (const Error&) {
    // What was committed stays committed; the next commit writes it down.
  }
}

void Database::script(const std::string& sql) {
  try {
    connection_.exec(sql);
  } catch (const SQLite::Exception& exception) {
    fail(exception);
  }
}

void Database::fail(const SQLite::Exception& exception) const {
  throw_database_error(file_, exception);
}

void Database::fail_at_commit(const SQLite::Exception& exception) const {
  constexpr const char* kHint = "mformer log says whether it was done: if it was not, run the command again";
  try {
    fail(exception);
  } catch (const NoSpaceError& error) {
    throw NoSpaceError(error.what(), std::string("free some space first (mformer gc); then ") + kHint);
  } catch (const Error& error) {
    if (exception.getErrorCode() != SQLITE_IOERR) throw;
    throw Error(error.what(), std::string("check the disk, its free space and limits on file size first; then ") + kHint);
  }
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
    const int changed = statement_.exec();
    // A statement of its own is a transaction of its own.
    if (changed > 0 && sqlite3_get_autocommit(db_.connection().getHandle()) != 0) db_.note_commit();
    return changed;
  } catch (const SQLite::Exception& exception) {
    db_.fail(exception);
  }
}

WriteTransaction::WriteTransaction(Database& db) : db_(db) {
  if (db_.open_transactions_ == 0) {
    try {
      transaction_.emplace(db.connection(), SQLite::TransactionBehavior::IMMEDIATE);
    } catch (const SQLite::Exception& exception) {
      db.fail(exception);
    }
  }
  ++db_.open_transactions_;
}

WriteTransaction::~WriteTransaction() {
  --db_.open_transactions_;
}

void WriteTransaction::commit() {
  if (!transaction_) return;
  try {
    transaction_->commit();
  } catch (const SQLite::Exception& exception) {
    db_.fail_at_commit(exception);
  }
  db_.note_commit();
}

UncheckedReferences::UncheckedReferences(Database& db) : db_(db) {
  db_.script("PRAGMA foreign_keys = OFF");
}

UncheckedReferences::~UncheckedReferences() {
  try {
    db_.script("PRAGMA foreign_keys = ON");
  } catch (const Error&) {  // it needs no disk and no lock: only a broken connection fails
  }
}

ReadTransaction::ReadTransaction(Database& db) : transaction_(begin_reading(db)) {}

}  // namespace mformer
