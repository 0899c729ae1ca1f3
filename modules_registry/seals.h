#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

struct sqlite3;

namespace mformer {

class Database;

/// Seals find rows that were changed, lost or added by anything but this program: a flipped bit, an edit with another
/// tool. Every table whose rows no version hash covers has one: the number of its rows, the number of changes that it
/// has seen, and the sum of the SHA-256 of all its rows, in any order. Triggers keep them up in the same transaction.
/// They are no protection against somebody who makes a fitting seal on purpose. docs/registry.md has the format.

/// Gives the connection the SQL functions that the seals are made with. For every connection.
void add_seal_functions(sqlite3* connection);

/// From now on every change through this connection goes into the seals, cascaded and replaced rows too. The triggers
/// are TEMP: another program that opens the file does not need the functions, and leaves the seals as they were.
void keep_seals(Database& db);

/// Ends keep_seals(): to put rows back to what was sealed.
void release_seals(Database& db);

/// Makes all seals anew from the rows as they are, inside the caller's transaction. They count `changes` in all.
void make_seals(Database& db, std::int64_t changes);

/// Changes that all tables have seen since their seals were made: never less than before in a registry that has lost
/// nothing. Nothing if a seal is damaged.
std::optional<std::int64_t> sealed_changes(Database& db);

/// One sentence for each table whose rows are not those that were sealed, or can't be read.
std::vector<std::string> broken_seals(Database& db);

}  // namespace mformer
