#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "modules_registry/change_count.h"
#include "modules_registry/error.h"

namespace mformer {

/// SQLite with the registry's rules: foreign keys on, write-ahead log, full sync, waits of up to 10 s, and every
/// failure as an Error that a user understands. Inside modules_registry only: no public header includes this one.
class Database {
 public:
  enum class Mode { read_only, read_write, create };

  Database(std::filesystem::path file, Mode mode);
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  /// Runs statements without parameters or results.
  void script(const std::string& sql);

  std::int64_t last_inserted_id() const { return connection_.getLastInsertRowid(); }

  SQLite::Database& connection() { return connection_; }
  const std::filesystem::path& file() const { return file_; }

  /// From now on a query that takes long asks this from time to time, and throws StoppedError when it says so. Not
  /// inside a WriteTransaction: what is begun is ended.
  void stop_when(std::function<bool()> should_stop);

  /// Throws StoppedError if that asks to stop: for long work between queries.
  void require_going_on() const;

  /// Writes down beside the registry how many changes it has seen; after every commit.
  void note_commit();
  const ChangeCount& change_count() const { return change_count_; }

  /// Turns what SQLite said into an Error that names the file.
  [[noreturn]] void fail(const SQLite::Exception& exception) const;

  /// The same of a commit. A disk that fails at its very end leaves open whether it is there when it can be read again.
  [[noreturn]] void fail_at_commit(const SQLite::Exception& exception) const;

 private:
  friend class WriteTransaction;
  static int is_to_stop(void* self);

  std::filesystem::path file_;
  SQLite::Database connection_;
  ChangeCount change_count_;
  std::function<bool()> should_stop_;
  int open_transactions_ = 0;
};

/// One prepared statement. Text "" and NULL are told apart in SQL only: bind with NULLIF(?, ''), read NULL as "" or 0.
class Query {
 public:
  Query(Database& db, const std::string& sql);

  /// Binds all parameters in order and starts over.
  template <class... Values>
  Query& bind(const Values&... values) {
    statement_.tryReset();
    int index = 0;
    (bind_one(++index, values), ...);
    return *this;
  }

  /// Steps to the next row; false after the last.
  bool next();

  /// Runs a statement that returns no rows; the number of rows that it changed.
  int run();

  std::string text(int column) { return statement_.getColumn(column).getString(); }
  std::int64_t integer(int column) { return statement_.getColumn(column).getInt64(); }
  bool is_null(int column) { return statement_.getColumn(column).isNull(); }
  double real(int column) { return statement_.getColumn(column).getDouble(); }

 private:
  void bind_one(int index, std::int64_t value) { statement_.bind(index, value); }
  void bind_one(int index, int value) { statement_.bind(index, value); }
  void bind_one(int index, bool value) { statement_.bind(index, value ? 1 : 0); }
  void bind_one(int index, double value) { statement_.bind(index, value); }
  void bind_one(int index, const std::string& value) { statement_.bind(index, value); }
  void bind_one(int index, std::string_view value) { statement_.bind(index, std::string(value)); }
  void bind_one(int index, const char* value) { statement_.bind(index, std::string(value)); }

  Database& db_;
  SQLite::Statement statement_;
};

/// BEGIN IMMEDIATE; rolled back unless committed. The write lock is held from the start, so that what is read inside
/// still holds when it is written. One inside another is a part of it: done when the outer one is; and if it is left by
/// an exception, that must leave the outer one too.
class WriteTransaction {
 public:
  explicit WriteTransaction(Database& db);
  ~WriteTransaction();
  WriteTransaction(const WriteTransaction&) = delete;
  WriteTransaction& operator=(const WriteTransaction&) = delete;
  void commit();

 private:
  Database& db_;
  std::optional<SQLite::Transaction> transaction_;  ///< only in the outermost
};

/// Around a WriteTransaction: in it foreign keys are not looked at row by row.
class UncheckedReferences {
 public:
  explicit UncheckedReferences(Database& db);
  ~UncheckedReferences();
  UncheckedReferences(const UncheckedReferences&) = delete;
  UncheckedReferences& operator=(const UncheckedReferences&) = delete;

 private:
  Database& db_;
};

/// One unchanging view for several reads. Nothing to commit.
class ReadTransaction {
 public:
  explicit ReadTransaction(Database& db);

 private:
  SQLite::Transaction transaction_;
};

}  // namespace mformer
