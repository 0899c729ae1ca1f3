#include <cmath>
#include <map>

#include "modules_registry/database.h"
#include "modules_registry/error.h"
#include "modules_registry/manifest_rows.h"
#include "modules_registry/registry.h"

// What was measured of a version on a task: who routes where, and scores.
namespace mformer {

namespace {

void require_finite(double value, const std::string& what) {
  if (!std::isfinite(value)) throw Error(what + " is " + std::to_string(value) + "; only finite numbers are kept");
}

/// A module's place in a version, and its weights there.
struct ModulePlace {
  std::pair<int, Kind> bank;
  std::int64_t revision = 0;
};

std::map<std::string, ModulePlace> module_places(Database& db, const std::string& version) {
  std::map<std::string, ModulePlace> places;
  for (const auto& [place, bank] : ManifestReader(db).banks(version)) {
    for (std::size_t i = 0; i < bank.modules.size(); ++i) {
      places[bank.modules[i].uid] = {place, bank.revisions[i]};
    }
  }
  return places;
}

/// SQL: the row of routings of a version and a task.
constexpr const char* kOfVersionAndTask =
    "version_id = (SELECT id FROM versions WHERE hash = ?) AND task_id = (SELECT id FROM tasks WHERE name = ?) ";

}  // namespace

void Registry::put_routing_stats(const std::string& version_hash, const std::string& task_name,
                                 std::span<const RoutingStat> stats, const Measured& on) {
  WriteTransaction transaction(*db_);
  version(version_hash);  // both throw if unknown
  task(task_name);
  const auto places = module_places(*db_, version_hash);
  Query(*db_, std::string("DELETE FROM routings WHERE ") + kOfVersionAndTask + "AND split = ? AND token_limit = ?")
      .bind(version_hash, task_name, on.split, on.token_limit)
      .run();
  Query(*db_,
        "INSERT INTO routings (version_id, task_id, split, token_limit, operation_id, created_ms) VALUES "
        "((SELECT id FROM versions WHERE hash = ?), (SELECT id FROM tasks WHERE name = ?), ?, ?, NULLIF(?, 0), ?)")
      .bind(version_hash, task_name, on.split, on.token_limit, on.operation_id, now_ms())
      .run();
  const std::int64_t routing = db_->last_inserted_id();
  Query insert(*db_, "INSERT INTO routing_stats VALUES (?, ?, ?, ?, ?, ?)");
  for (const RoutingStat& stat : stats) {
    const auto place = places.find(stat.module_uid);
    if (place == places.end() || place->second.bank != std::pair(stat.layer, stat.kind)) {
      throw Error("module " + stat.module_uid + " is not in layer " + std::to_string(stat.layer) + ", kind " +
                  std::string(to_string(stat.kind)) + " of version " + version_hash);
    }
    require_finite(stat.gate_mass, "the gate mass of module " + stat.module_uid);
    require_finite(stat.weighted_output_norm, "the output norm of module " + stat.module_uid);
    insert.bind(routing, place->second.revision, stat.slots, stat.gate_mass, stat.weighted_output_norm, stat.tokens)
        .run();
  }
  transaction.commit();
}

std::vector<RoutingStat> Registry::routing_stats(const std::string& version_hash, const std::string& task_name) const {
  version(version_hash);  // both throw if unknown
  task(task_name);
  Query last(*db_, std::string("SELECT max(id) FROM routings WHERE ") + kOfVersionAndTask);
  last.bind(version_hash, task_name).next();
  return stats_of_routing(last.integer(0));
}

std::vector<RoutingStat> Registry::routing_stats(const std::string& version_hash, const std::string& task_name,
                                                 const Measured& on) const {
  version(version_hash);  // both throw if unknown
  task(task_name);
  Query that(*db_, std::string("SELECT max(id) FROM routings WHERE ") + kOfVersionAndTask +
                       "AND split = ? AND token_limit = ?");
  that.bind(version_hash, task_name, on.split, on.token_limit).next();
  return stats_of_routing(that.integer(0));
}

std::vector<Measured> Registry::routings(const std::string& version_hash, const std::string& task_name) const {
  version(version_hash);  // both throw if unknown
  task(task_name);
  Query rows(*db_, std::string("SELECT split, token_limit, coalesce(operation_id, 0) FROM routings WHERE ") +
                       kOfVersionAndTask + "ORDER BY id");
  rows.bind(version_hash, task_name);
  std::vector<Measured> found;
  while (rows.next()) found.push_back({rows.text(0), rows.integer(1), rows.integer(2)});
  return found;
}

std::vector<RoutingLook> Registry::routings() const {
  Query rows(*db_,
             "SELECT versions.hash, name, split, token_limit, coalesce(routings.operation_id, 0) FROM routings "
             "JOIN versions ON versions.id = version_id JOIN tasks ON tasks.id = task_id "
             "WHERE instr(name, ' (removed ') = 0 ORDER BY routings.id");
  std::vector<RoutingLook> found;
  while (rows.next()) {
    found.push_back({rows.text(0), rows.text(1), {rows.text(2), rows.integer(3), rows.integer(4)}});
  }
  return found;
}

std::vector<RoutingStat> Registry::stats_of_routing(std::int64_t routing) const {
  Query rows(*db_,
             "SELECT layer, kind, module_uid, slots, gate_mass, weighted_output_norm, tokens FROM routings "
             "JOIN version_banks USING (version_id) JOIN banks ON banks.id = bank_id JOIN bank_modules USING (bank_id) "
             "JOIN routing_stats AS stat ON routing_id = routings.id AND stat.revision_id = bank_modules.revision_id "
             "JOIN revisions ON revisions.id = stat.revision_id WHERE routings.id = ? ORDER BY layer, kind, position");
  rows.bind(routing);
  std::vector<RoutingStat> found;
  while (rows.next()) {
    found.push_back({static_cast<int>(rows.integer(0)), kind_from_string(rows.text(1)), rows.text(2), rows.integer(3),
                     rows.real(4), rows.real(5), rows.integer(6)});
  }
  return found;
}

void Registry::put_score(const Score& score) {
  require_finite(score.value, "the score '" + score.metric + "' of task '" + score.task + "'");
  version(score.version);  // both throw if unknown
  task(score.task);
  Query(*db_,
        "INSERT OR REPLACE INTO scores VALUES ((SELECT id FROM versions WHERE hash = ?), "
        "(SELECT id FROM tasks WHERE name = ?), ?, ?, ?, ?, ?, ?, NULLIF(?, 0), ?)")
      .bind(score.version, score.task, score.split, score.metric, score.part, score.token_limit, score.value,
            score.token_count, score.operation_id, now_ms())
      .run();
}

std::vector<Score> Registry::scores(const std::string& version_hash, const std::string& task_name) const {
  if (!version_hash.empty()) version(version_hash);  // both throw if unknown
  if (!task_name.empty()) task(task_name);
  Query rows(*db_,
             std::string("SELECT hash, name, split, metric, value, scores.token_count, scores.operation_id, "
                         "scores.created_ms, token_limit, part FROM scores JOIN versions ON versions.id = version_id "
                         "JOIN tasks ON tasks.id = task_id WHERE ") +
                 (version_hash.empty() ? "?1 = ''" : "version_id = (SELECT id FROM versions WHERE hash = ?1)") +
                 " AND (?2 = '' OR name = ?2) AND instr(name, ' (removed ') = 0 "
                 "ORDER BY scores.created_ms, hash, name, split, metric, part, token_limit");
  rows.bind(version_hash, task_name);
  std::vector<Score> found;
  while (rows.next()) {
    found.push_back({rows.text(0), rows.text(1), rows.text(2), rows.text(3), rows.real(4), rows.integer(5),
                     rows.integer(6), rows.integer(7), rows.integer(8), static_cast<int>(rows.integer(9))});
  }
  return found;
}

}  // namespace mformer
