#include "modules_registry/seals.h"

#include <sqlite3.h>

#include <array>
#include <bit>
#include <cstring>
#include <string_view>

#include "modules_registry/database.h"
#include "modules_registry/error.h"
#include "modules_registry/files.h"

namespace mformer {

namespace {

/// Numbers are stored with their lowest byte first, whatever the machine.
void append_number(std::string& out, std::uint64_t number) {
  for (int byte = 0; byte < 8; ++byte) out += static_cast<char>(number >> (8 * byte) & 255U);
}

std::uint64_t number_at(std::string_view bytes, std::size_t at) {
  std::uint64_t number = 0;
  for (std::size_t byte = 0; byte < 8; ++byte) {
    number |= static_cast<std::uint64_t>(static_cast<unsigned char>(bytes[at + byte])) << (8 * byte);
  }
  return number;
}

/// One value with its type and length, so that no two rows share a text.
void append_value(std::string& out, sqlite3_value* value) {
  const int type = sqlite3_value_type(value);
  out += static_cast<char>('0' + type);
  if (type == SQLITE_INTEGER) {
    append_number(out, static_cast<std::uint64_t>(sqlite3_value_int64(value)));
  } else if (type == SQLITE_FLOAT) {
    append_number(out, std::bit_cast<std::uint64_t>(sqlite3_value_double(value)));
  } else if (type != SQLITE_NULL) {
    const auto* bytes = static_cast<const char*>(sqlite3_value_blob(value));  // before its size: it may convert
    const auto size = static_cast<std::size_t>(sqlite3_value_bytes(value));
    append_number(out, size);
    if (size > 0) out.append(bytes, size);
  }
}

/// SHA-256 of the table's name and the values, as four numbers.
std::array<std::uint64_t, 4> row_digest(int count, sqlite3_value** table_and_values) {
  std::string text;
  for (int i = 0; i < count; ++i) append_value(text, table_and_values[i]);
  const auto digest = sha256_digest(as_bytes(text));
  const std::string_view bytes(reinterpret_cast<const char*>(digest.data()), digest.size());
  return {number_at(bytes, 0), number_at(bytes, 8), number_at(bytes, 16), number_at(bytes, 24)};
}

/// The seal of one table.
struct Seal {
  static constexpr std::size_t kBytes = 56;

  std::uint64_t rows = 0;
  std::uint64_t changes = 0;
  std::array<std::uint64_t, 4> sum{};

  void add(const std::array<std::uint64_t, 4>& digest) {
    ++rows;
    for (std::size_t i = 0; i < sum.size(); ++i) sum.at(i) += digest.at(i);
  }
  void remove(const std::array<std::uint64_t, 4>& digest) {
    --rows;
    for (std::size_t i = 0; i < sum.size(); ++i) sum.at(i) -= digest.at(i);
  }
  bool has_rows_of(const Seal& other) const { return rows == other.rows && sum == other.sum; }

  /// Rows, changes, sum, and 8 bytes of the hash of these and the table's name: a changed seal is known as such.
  std::string bytes(std::string_view table) const {
    std::string out;
    append_number(out, rows);
    append_number(out, changes);
    for (const std::uint64_t part : sum) append_number(out, part);
    const auto check = sha256_digest(as_bytes(std::string(table) + out));
    return out.append(reinterpret_cast<const char*>(check.data()), 8);
  }

  static std::optional<Seal> from_bytes(std::string_view table, std::string_view bytes) {
    if (bytes.size() != kBytes) return std::nullopt;
    Seal seal{number_at(bytes, 0),
              number_at(bytes, 8),
              {number_at(bytes, 16), number_at(bytes, 24), number_at(bytes, 32), number_at(bytes, 40)}};
    return seal.bytes(table) == bytes ? std::optional(seal) : std::nullopt;
  }
};

std::string_view text_of(sqlite3_value* value) {
  const auto* bytes = static_cast<const char*>(sqlite3_value_blob(value));
  return {bytes == nullptr ? "" : bytes, static_cast<std::size_t>(sqlite3_value_bytes(value))};
}

void give_back(sqlite3_context* context, std::string_view bytes) {
  sqlite3_result_blob(context, bytes.data(), static_cast<int>(bytes.size()), SQLITE_TRANSIENT);
}

/// Runs change(seal) on the seal in the first argument, for the table in the second. A damaged seal stays damaged.
template <class Change>
void change_seal(sqlite3_context* context, sqlite3_value** arguments, Change change) {
  std::optional<Seal> seal = Seal::from_bytes(text_of(arguments[1]), text_of(arguments[0]));
  if (!seal) return sqlite3_result_value(context, arguments[0]);
  change(*seal);
  ++seal->changes;
  give_back(context, seal->bytes(text_of(arguments[1])));
}

/// seal_insert(seal, table, value, …): the seal with one row more.
void seal_insert(sqlite3_context* context, int count, sqlite3_value** arguments) {
  change_seal(context, arguments, [&](Seal& seal) { seal.add(row_digest(count - 1, arguments + 1)); });
}

/// seal_delete(seal, table, value, …): the seal with one row less.
void seal_delete(sqlite3_context* context, int count, sqlite3_value** arguments) {
  change_seal(context, arguments, [&](Seal& seal) { seal.remove(row_digest(count - 1, arguments + 1)); });
}

/// The aggregate seal_rows(table, value, …): bare numbers, which start as zeros.
void seal_step(sqlite3_context* context, int count, sqlite3_value** arguments) {
  auto* seal = static_cast<Seal*>(sqlite3_aggregate_context(context, sizeof(Seal)));
  if (seal == nullptr) return sqlite3_result_error_nomem(context);
  seal->add(row_digest(count, arguments));
}

void seal_final(sqlite3_context* context) {
  const auto* seal = static_cast<const Seal*>(sqlite3_aggregate_context(context, 0));
  const Seal found = seal == nullptr ? Seal() : *seal;
  give_back(context, {reinterpret_cast<const char*>(&found), sizeof(found)});
}

struct Table {
  std::string name;
  std::vector<std::string> columns;
};

/// Those of versions' manifests are covered by the versions' hashes; before migration 6 they were the last two.
std::vector<Table> sealed_tables(Database& db) {
  Query names(db,
              "SELECT name FROM main.sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' "
              "AND name NOT IN ('seals', 'version_parts', 'version_banks', 'banks', 'bank_modules', 'parts', "
              "'version_layers', 'version_modules') ORDER BY name");
  std::vector<Table> tables;
  while (names.next()) {
    Table& table = tables.emplace_back(Table{names.text(0), {}});
    Query columns(db, "SELECT name FROM pragma_table_info(?, 'main') ORDER BY cid");
    columns.bind(table.name);
    while (columns.next()) table.columns.push_back(columns.text(0));
  }
  return tables;
}

std::string quoted(const std::string& name) {
  return '"' + name + '"';
}

/// "'scores', NEW."task", NEW."value"": what a row's digest is made of.
std::string values(const Table& table, const std::string& row) {
  std::string list = "'" + table.name + "'";
  for (const std::string& column : table.columns) list.append(", ").append(row).append(quoted(column));
  return list;
}

std::string trigger(const Table& table, const std::string& event, const std::string& state) {
  return "CREATE TEMP TRIGGER seal_" + event + "_" + table.name + " AFTER " + event + " ON main." + quoted(table.name) +
         " BEGIN UPDATE seals SET state = " + state + " WHERE table_name = '" + table.name + "'; END;";
}

Seal seal_of_rows(Database& db, const Table& table) {
  Query rows(db, "SELECT seal_rows(" + values(table, "") + ") FROM main." + quoted(table.name));
  rows.next();
  Seal seal;
  const std::string bytes = rows.text(0);
  std::memcpy(&seal, bytes.data(), sizeof(seal));
  return seal;
}

std::optional<Seal> stored_seal(Database& db, const Table& table) {
  Query row(db, "SELECT state FROM seals WHERE table_name = ?");
  row.bind(table.name);
  return row.next() ? Seal::from_bytes(table.name, row.text(0)) : std::nullopt;
}

std::string broken_seal(Database& db, const Table& table) {
  const std::optional<Seal> seal = stored_seal(db, table);
  if (!seal) return "table " + table.name + ": its seal is missing or damaged";
  const Seal found = seal_of_rows(db, table);
  if (found.has_rows_of(*seal)) return "";
  const std::string rows = std::to_string(found.rows) + (found.rows == 1 ? " row" : " rows");
  if (found.rows != seal->rows)
    return "table " + table.name + " has " + rows + " instead of " + std::to_string(seal->rows);
  return "table " + table.name + ": its " + rows + " are not all as they were written";
}

}  // namespace

void add_seal_functions(sqlite3* connection) {
  constexpr int kFlags = SQLITE_UTF8 | SQLITE_DETERMINISTIC;
  const auto add = [&](const char* name, auto call, auto step, auto final) {
    const int code = sqlite3_create_function_v2(connection, name, -1, kFlags, nullptr, call, step, final, nullptr);
    if (code != SQLITE_OK) throw Error(std::string("SQLite refused a function: ") + sqlite3_errstr(code));
  };
  add("seal_insert", seal_insert, nullptr, nullptr);
  add("seal_delete", seal_delete, nullptr, nullptr);
  add("seal_rows", nullptr, seal_step, seal_final);
}

void keep_seals(Database& db) {
  db.script("PRAGMA recursive_triggers = ON");  // else a row that REPLACE deletes goes without a trigger
  std::string triggers;
  for (const Table& table : sealed_tables(db)) {
    const std::string removed = "seal_delete(state, " + values(table, "OLD.") + ")";
    const std::string added = values(table, "NEW.");
    triggers += trigger(table, "INSERT", "seal_insert(state, " + added + ")");
    triggers += trigger(table, "DELETE", removed);
    triggers += trigger(table, "UPDATE", "seal_insert(" + removed + ", " + added + ")");
  }
  db.script(triggers);
}

void release_seals(Database& db) {
  std::string drops;
  for (const Table& table : sealed_tables(db)) {
    for (const char* event : {"INSERT", "DELETE", "UPDATE"}) {
      drops += std::string("DROP TRIGGER temp.seal_") + event + "_" + table.name + ";";
    }
  }
  db.script(drops);
}

void make_seals(Database& db, std::int64_t changes) {
  db.script("DELETE FROM seals");
  Query insert(db, "INSERT INTO seals VALUES (?, CAST(? AS BLOB))");
  for (const Table& table : sealed_tables(db)) {
    Seal seal = seal_of_rows(db, table);
    seal.changes = static_cast<std::uint64_t>(changes);
    changes = 0;  // all of them stand in the first
    insert.bind(table.name, seal.bytes(table.name)).run();
  }
}

std::optional<std::int64_t> sealed_changes(Database& db) {
  Query rows(db, "SELECT table_name, state FROM seals");
  std::uint64_t changes = 0;
  while (rows.next()) {
    const std::optional<Seal> seal = Seal::from_bytes(rows.text(0), rows.text(1));
    if (!seal) return std::nullopt;
    changes += seal->changes;
  }
  return static_cast<std::int64_t>(changes);
}

std::vector<std::string> broken_seals(Database& db) {
  std::vector<std::string> problems;
  for (const Table& table : sealed_tables(db)) {
    try {
      const std::string problem = broken_seal(db, table);
      if (!problem.empty()) problems.push_back(problem);
    } catch (const Error& error) {
      problems.push_back("table " + table.name + " can't be read: " + error.what());
    }
  }
  return problems;
}

}  // namespace mformer
