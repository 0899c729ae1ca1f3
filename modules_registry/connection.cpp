#include "modules_registry/connection.h"

#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>

#include "modules_registry/error.h"
#include "modules_registry/files.h"

namespace mformer {

namespace {

namespace fs = std::filesystem;

constexpr int kBusyTimeoutMs = 10'000;

/// SQLite says "I/O error" where a shared file can't grow, and keeps the reason to itself.
bool is_full(const fs::path& folder) {
  constexpr std::uintmax_t kLittle = 64 * 1024;
  std::error_code unknown;
  const fs::space_info space = fs::space(folder, unknown);
  return !unknown && space.available < kLittle;
}

bool wants_space(const fs::path& file, const SQLite::Exception& exception) {
  const int code = exception.getErrorCode();
  return code == SQLITE_FULL || ((code == SQLITE_IOERR || code == SQLITE_CANTOPEN) && is_full(file.parent_path()));
}

/// Whether one of the registry's files has come up against the limit on the size of files. Of that, too, SQLite says
/// "I/O error" only.
bool is_at_limit(const fs::path& file) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_FSIZE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return false;
  constexpr std::uintmax_t kOneWrite = 64 * 1024;
  std::uintmax_t longest = 0;
  for (const char* ending : {"", "-wal", "-shm"}) {
    std::error_code missing;
    const auto size = fs::file_size(file.string() + ending, missing);
    if (!missing) longest = std::max(longest, size);
  }
  return longest + kOneWrite > limit.rlim_cur;
}

/// SQLite could not make, or make longer, the file that it shares with others: no space, or a limit on file sizes.
bool lacks_shared_file(const fs::path& file, const SQLite::Exception& exception) {
  switch (exception.getExtendedErrorCode()) {
    case SQLITE_IOERR_SHMOPEN:
    case SQLITE_IOERR_SHMSIZE:
    case SQLITE_IOERR_SHMMAP:
      return true;
    default:
      return wants_space(file, exception);
  }
}

std::string uri(const fs::path& file) {
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
  return text;
}

/// SQLite opens files when it first needs them: now.
void touch(SQLite::Database& connection) {
  connection.execAndGet("SELECT count(*) FROM sqlite_master");
}

/// When two processes open a new database at once, SQLite says "busy" here instead of waiting.
void use_write_ahead_log(SQLite::Database& connection) {
  constexpr int kPauseMs = 10;
  for (int waited_ms = 0;; waited_ms += kPauseMs) {
    const int code = connection.tryExec("PRAGMA journal_mode = WAL");
    if (code == SQLITE_OK) return;
    if (code != SQLITE_BUSY || waited_ms >= kBusyTimeoutMs) throw SQLite::Exception(connection.getHandle(), code);
    std::this_thread::sleep_for(std::chrono::milliseconds(kPauseMs));
  }
}

/// Needs no shared file: nobody else has the registry open.
SQLite::Database connect_alone(const fs::path& file) {
  SQLite::Database connection(file.string(), SQLite::OPEN_READWRITE, kBusyTimeoutMs);
  connection.exec("PRAGMA locking_mode = EXCLUSIVE");
  // Else closing would copy the log into the registry, for which there may be no space.
  sqlite3_db_config(connection.getHandle(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  touch(connection);
  return connection;
}

struct Stamp {
  ino_t inode = 0;
  off_t size = 0;
  timespec changed{};
  bool operator==(const Stamp& other) const {
    return inode == other.inode && size == other.size && changed.tv_sec == other.changed.tv_sec &&
           changed.tv_nsec == other.changed.tv_nsec;
  }
};

/// Nothing while a log holds what the registry does not have yet.
std::optional<Stamp> quiet_stamp(const fs::path& file) {
  std::error_code missing;
  const auto log_size = fs::file_size(file.string() + "-wal", missing);
  struct stat status {};
  if ((!missing && log_size > 0) || ::stat(file.c_str(), &status) != 0) return std::nullopt;
  return Stamp{status.st_ino, status.st_size, status.st_mtim};
}

/// The registry's bytes at one moment; nothing if somebody kept writing.
std::optional<std::string> quiet_copy(const fs::path& file) {
  constexpr int kLooks = 20;
  constexpr auto kPause = std::chrono::milliseconds(50);
  for (int look = 0; look < kLooks; ++look) {
    const auto before = quiet_stamp(file);
    if (before) {
      std::string bytes = read_file(file);
      if (quiet_stamp(file) == before) return bytes;
    }
    std::this_thread::sleep_for(kPause);
  }
  return std::nullopt;
}

SQLite::Database open_copy(std::string bytes) {
  // The header's two format bytes say "write-ahead log", of which there is none in memory.
  constexpr std::size_t kFormatBytes = 18;
  if (bytes.size() > kFormatBytes + 1) bytes[kFormatBytes] = bytes[kFormatBytes + 1] = 1;
  SQLite::Database connection(":memory:", SQLite::OPEN_READWRITE);
  auto* memory = static_cast<unsigned char*>(sqlite3_malloc64(bytes.size() + 1));
  if (memory == nullptr) throw std::bad_alloc();
  std::memcpy(memory, bytes.data(), bytes.size());
  const auto size = static_cast<sqlite3_int64>(bytes.size());
  const int code = sqlite3_deserialize(connection.getHandle(), "main", memory, size, size,
                                       SQLITE_DESERIALIZE_FREEONCLOSE | SQLITE_DESERIALIZE_READONLY);
  if (code != SQLITE_OK) throw SQLite::Exception(connection.getHandle(), code);
  touch(connection);
  return connection;
}

/// For those who may not write where the registry lies.
SQLite::Database connect_to_copy(const fs::path& file) {
  auto bytes = quiet_copy(file);
  if (!bytes) {
    throw Error(
        "the registry '" + file.string() + "' is being written to, or has a log that only its owner can read in",
        "try again when the owner's command has ended; or let the owner run mformer gc once");
  }
  return open_copy(std::move(*bytes));
}

/// SQLite would wait for whoever writes a pipe.
void refuse_what_is_no_file(const fs::path& file) {
  std::error_code error;
  const fs::file_status status = fs::status(file, error);
  if (error || !fs::exists(status) || fs::is_regular_file(status) || fs::is_directory(status)) return;
  throw Error("the registry '" + file.string() + "' is no file, but a pipe or a device",
              "put back registry.db from a copy of the workspace (docs/registry.md)");
}

SQLite::Database connect_normally(const fs::path& file) {
  SQLite::Database connection(uri(file), SQLite::OPEN_READONLY | SQLite::OPEN_URI, kBusyTimeoutMs);
  touch(connection);
  return connection;
}

SQLite::Database connect_writing(const fs::path& file, bool create) {
  const int flags = SQLite::OPEN_READWRITE | (create ? SQLite::OPEN_CREATE : 0);
  SQLite::Database connection(file.string(), flags, kBusyTimeoutMs);
  use_write_ahead_log(connection);
  touch(connection);
  return connection;
}

}  // namespace

void throw_stopped(const fs::path& file) {
  throw StoppedError("stopped while reading the registry '" + file.string() + "'",
                     "nothing was changed; run the command again");
}

void throw_database_error(const fs::path& file, const SQLite::Exception& exception) {
  const std::string where = "'" + file.string() + "'";
  if (wants_space(file, exception)) {
    throw NoSpaceError("no space is left to write the registry " + where,
                       "free some space (mformer gc removes files that no version uses), then run the command again");
  }
  switch (exception.getErrorCode()) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      throw Error("another command has been writing to the registry " + where + " for more than 10 seconds",
                  "wait for it to end, then run the command again");
    case SQLITE_INTERRUPT:
      throw_stopped(file);
    case SQLITE_IOERR:
      if (is_at_limit(file)) throw_file_error("write", file, EFBIG);
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
                  "restore registry.db from a copy; the files in objects/ may still be whole");
    default:
      throw Error("the registry " + where + " refused: " + exception.what(), "mformer fsck checks the registry");
  }
}

SQLite::Database connect_to_read(const fs::path& file) {
  refuse_what_is_no_file(file);
  try {
    return connect_normally(file);
  } catch (const SQLite::Exception& exception) {
    const int code = exception.getErrorCode();
    const bool may_write = ::access(file.parent_path().c_str(), W_OK) == 0;
    if (may_write ? !lacks_shared_file(file, exception) : code != SQLITE_CANTOPEN && code != SQLITE_READONLY) {
      throw_database_error(file, exception);
    }
    try {
      if (!may_write) return connect_to_copy(file);
      SQLite::Database connection = connect_alone(file);
      connection.exec("PRAGMA query_only = ON");
      return connection;
    } catch (const SQLite::Exception& again) {
      throw_database_error(file, again);
    }
  }
}

SQLite::Database connect_to_write(const fs::path& file, bool create) {
  refuse_what_is_no_file(file);
  try {
    return connect_writing(file, create);
  } catch (const SQLite::Exception& exception) {
    std::error_code missing;
    if (!lacks_shared_file(file, exception) || fs::file_size(file, missing) == 0 || missing) {
      throw_database_error(file, exception);
    }
    try {
      return connect_alone(file);
    } catch (const SQLite::Exception& again) {
      throw_database_error(file, again);
    }
  }
}

}  // namespace mformer
