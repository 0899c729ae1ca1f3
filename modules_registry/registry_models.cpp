#include <algorithm>
#include <cctype>
#include <charconv>

#include "modules_registry/database.h"
#include "modules_registry/error.h"
#include "modules_registry/registry.h"
#include "modules_registry/removed.h"
#include "modules_registry/suggest.h"

namespace mformer {

namespace {

constexpr const char* kSelectVersion =
    "SELECT hash, content_hash, parent_hash, operation_id, model, number, created_ms FROM versions ";

VersionRecord read_version(Query& row) {
  VersionRecord version;
  version.hash = row.text(0);
  version.content_hash = row.text(1);
  version.parent = row.text(2);
  version.operation_id = row.integer(3);
  version.model = row.text(4);
  version.removed = is_removed(version.model);
  if (version.removed) version.model = name_before_removal(version.model);
  version.number = static_cast<int>(row.integer(5));
  version.created_ms = row.integer(6);
  return version;
}

constexpr const char* kSelectModel =
    "SELECT models.name, current_version, number, model, "
    "(SELECT count(*) FROM versions WHERE versions.model = models.name), models.created_ms "
    "FROM models JOIN versions ON hash = current_version ";

ModelRecord read_model(Query& row) {
  ModelRecord model;
  model.name = row.text(0);
  model.current_version = row.text(1);
  model.current_number = static_cast<int>(row.integer(2));
  model.current_model = name_before_removal(row.text(3));
  model.version_count = static_cast<int>(row.integer(4));
  model.created_ms = row.integer(5);
  return model;
}

/// Of models, then tags.
std::vector<std::string> names_of_refs(Database& db) {
  Query rows(db, std::string("SELECT name FROM (SELECT 0, id AS place, name FROM models WHERE ") + kLiving +
                     "UNION ALL SELECT 1, created_ms, name FROM tags ORDER BY 1, 2, 3)");
  std::vector<std::string> names;
  while (rows.next()) names.push_back(rows.text(0));
  return names;
}

bool has_model(Database& db, const std::string& name) {
  Query row(db, "SELECT 1 FROM models WHERE name = ?");
  row.bind(name);
  return !is_removed(name) && row.next();
}

/// Hash of the version that a tag names, or "".
std::string tagged_version(Database& db, const std::string& name) {
  Query row(db, "SELECT version_hash FROM tags WHERE name = ?");
  row.bind(name);
  return row.next() ? row.text(0) : "";
}

[[noreturn]] void fail_unknown(Database& db, const std::string& what, const std::string& word) {
  const std::vector<std::string> names = names_of_refs(db);
  throw UsageError(what, suggestion_hint(word, names, "models", "the workspace has no model yet: mformer init"));
}

/// Digits of a version hash, in lower case; "" if the text can't be one.
std::string hash_prefix(std::string_view text) {
  std::string digits(text);
  for (char& c : digits) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  const bool fits = digits.size() >= 4 && digits.find_first_not_of("0123456789abcdef") == std::string::npos;
  return fits ? digits : "";
}

[[noreturn]] void fail_ambiguous(const std::string& ref, const std::vector<VersionRecord>& found) {
  std::string list;
  for (const VersionRecord& version : found) {
    list += (list.empty() ? "" : ", ") + to_string(version) + " (" + version.hash.substr(0, 12) + ")";
  }
  throw UsageError("'" + ref + "' is the beginning of more than one version: " + list, "give more digits");
}

/// "name@number" of a known model.
VersionRecord numbered_version(Database& db, const std::string& ref, size_t at) {
  const std::string name = ref.substr(0, at);
  if (!has_model(db, name)) fail_unknown(db, "there is no model '" + name + "'", name);
  int number = 0;
  const char* end = ref.data() + ref.size();
  const auto parsed = std::from_chars(ref.data() + at + 1, end, number);
  Query row(db, std::string(kSelectVersion) + "WHERE model = ? AND number = ?");
  row.bind(name, number);
  if (parsed.ec == std::errc() && parsed.ptr == end && row.next()) return read_version(row);
  Query count(db, "SELECT coalesce(max(number), 0) FROM versions WHERE model = ?");
  count.bind(name).next();
  if (count.integer(0) == 0) {
    throw UsageError("model '" + name + "' has no version of its own yet",
                     "its name alone means the version that it stands at");
  }
  throw UsageError("model '" + name + "' has no version '" + ref.substr(at + 1) + "'",
                   "its versions are " + name + "@1 to " + name + "@" + count.text(0));
}

}  // namespace

void Registry::set_current_model(const std::string& name) {
  model(name);  // throws if unknown
  atomically([&] {
    set_setting("current_model", name);
    if (!looked_at().empty()) set_setting("looked_at", "");
  });
}

std::string Registry::current_model() const {
  return setting("current_model").value_or("");
}

std::vector<ModelRecord> Registry::models() const {
  Query rows(*db_, std::string(kSelectModel) + "WHERE instr(models.name, ' (removed ') = 0 ORDER BY models.id");
  std::vector<ModelRecord> found;
  while (rows.next()) found.push_back(read_model(rows));
  return found;
}

ModelRecord Registry::model(const std::string& name) const {
  Query row(*db_, std::string(kSelectModel) + "WHERE models.name = ?");
  row.bind(name);
  if (!is_removed(name) && row.next()) return read_model(row);
  if (!tagged_version(*db_, name).empty()) {
    throw UsageError("'" + name + "' is a tag, which never moves, and this needs a model", "mformer models lists them");
  }
  fail_unknown(*db_, "there is no model '" + name + "'", name);
}

std::vector<VersionRecord> Registry::versions(const std::string& model_name) const {
  model(model_name);  // throws if unknown
  Query rows(*db_, std::string(kSelectVersion) + "WHERE model = ? ORDER BY number");
  rows.bind(model_name);
  std::vector<VersionRecord> found;
  while (rows.next()) found.push_back(read_version(rows));
  return found;
}

std::vector<VersionRecord> Registry::all_versions() const {
  Query rows(*db_, std::string(kSelectVersion) + "ORDER BY operation_id, model, number");
  std::vector<VersionRecord> found;
  while (rows.next()) found.push_back(read_version(rows));
  return found;
}

std::vector<ModelMove> Registry::model_moves() const {
  Query rows(
      *db_,
      "SELECT id, command, model, version_before, version_after FROM operations WHERE version_before IS NOT NULL "
      "AND version_after IS NOT NULL AND version_before <> version_after "
      "AND id NOT IN (SELECT operation_id FROM versions) ORDER BY id");
  std::vector<ModelMove> found;
  while (rows.next()) {
    found.push_back({rows.integer(0), rows.text(1), rows.text(2), rows.text(3), rows.text(4)});
  }
  return found;
}

VersionRecord Registry::version(const std::string& hash) const {
  Query row(*db_, std::string(kSelectVersion) + "WHERE hash = ?");
  row.bind(hash);
  if (row.next()) return read_version(row);
  throw UsageError("there is no version " + hash, "mformer log lists the versions");
}

VersionRecord Registry::resolve(const std::string& ref) const {
  if (ref.empty() && !looked_at().empty()) return version(looked_at());
  const std::string wanted = ref.empty() ? current_model() : ref;
  if (wanted.empty()) throw UsageError("the workspace has no model yet", "make one: mformer init or mformer import");
  if (has_model(*db_, wanted)) return version(model(wanted).current_version);
  if (const std::string tagged = tagged_version(*db_, wanted); !tagged.empty()) return version(tagged);
  if (const size_t at = wanted.rfind('@'); at != std::string::npos) return numbered_version(*db_, wanted, at);
  const std::vector<VersionRecord> found = versions_that_begin(wanted);
  if (found.size() > 1) fail_ambiguous(wanted, found);
  if (found.size() == 1) return found.front();
  fail_unknown(*db_, "there is no model or version '" + wanted + "'", wanted);
}

std::vector<VersionRecord> Registry::versions_that_begin(const std::string& prefix) const {
  const std::string digits = hash_prefix(prefix);
  if (digits.empty()) return {};
  // 'g' is the letter after the last hexadecimal digit.
  Query rows(*db_, std::string(kSelectVersion) + "WHERE hash >= ?1 AND hash < ?1 || 'g' ORDER BY created_ms, hash");
  rows.bind(digits);
  std::vector<VersionRecord> found;
  while (rows.next()) found.push_back(read_version(rows));
  return found;
}

bool Registry::is_ancestor(const std::string& ancestor, const std::string& descendant) const {
  version(ancestor);  // both throw if unknown
  version(descendant);
  Query row(*db_,
            "WITH RECURSIVE line (hash) AS (SELECT ? UNION "
            "SELECT parent_hash FROM versions JOIN line USING (hash) WHERE parent_hash IS NOT NULL) "
            "SELECT 1 FROM line WHERE hash = ?");
  row.bind(descendant, ancestor);
  return row.next();
}

std::int64_t Registry::version_bytes(const std::string& version_hash) const {
  version(version_hash);  // throws if unknown
  Query row(*db_,
            "SELECT coalesce(sum(size_bytes), 0) FROM objects "
            "WHERE hash IN (SELECT object_hash FROM version_objects WHERE version_hash = ?)");
  row.bind(version_hash).next();
  return row.integer(0);
}

std::int64_t Registry::object_bytes(const std::string& hash) const {
  Query row(*db_, "SELECT size_bytes FROM objects WHERE hash = ?");
  row.bind(hash);
  return row.next() ? row.integer(0) : 0;
}

std::int64_t Registry::added_bytes(const std::string& version_hash) const {
  Query row(*db_,
            "SELECT coalesce(sum(size_bytes), 0) FROM objects "
            "WHERE hash IN (SELECT object_hash FROM version_objects WHERE version_hash = ?) "
            "AND hash NOT IN (SELECT object_hash FROM version_objects WHERE version_hash = ?)");
  row.bind(version_hash, version(version_hash).parent).next();
  return row.integer(0);
}

}  // namespace mformer
