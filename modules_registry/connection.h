#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <filesystem>

namespace mformer {

/// Turns what SQLite said about the registry `file` into an Error that a user understands.
[[noreturn]] void throw_database_error(const std::filesystem::path& file, const SQLite::Exception& exception);

/// Throws the StoppedError of a caller that asked to stop.
[[noreturn]] void throw_stopped(const std::filesystem::path& file);

/// A registry to read. Beside writers SQLite keeps a small shared file, which it makes if it is not there. Where that
/// can't be:
/// - in a folder that we may not write to, the file is copied into memory, at a moment when nobody writes;
/// - on a disk without a free byte, we keep everybody else out instead (they wait up to 10 s).
SQLite::Database connect_to_read(const std::filesystem::path& file);

/// A registry to write, made if it is not there and `create` says so. On a disk without a free byte as above: what
/// needs no space, such as making some, still works.
SQLite::Database connect_to_write(const std::filesystem::path& file, bool create);

}  // namespace mformer
