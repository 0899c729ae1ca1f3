#include <set>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "modules_registry/database.h"
#include "modules_registry/error.h"
#include "modules_registry/manifest.h"
#include "modules_registry/manifest_rows.h"
#include "modules_registry/registry.h"

namespace mformer {

namespace {

constexpr Kind kKinds[] = {Kind::att, Kind::mlp};

/// Throws for names that come twice; what refers to other rows is checked as it is written.
void require_distinct_names(const Manifest& manifest) {
  std::unordered_set<std::string> parts;
  for (const TrunkPart& part : manifest.parts) {
    if (!parts.insert(part.name).second) throw Error("the manifest has the part '" + part.name + "' twice");
  }
  std::unordered_set<std::string> modules;
  for (const LayerManifest& layer : manifest.layers) {
    for (const Kind kind : kKinds) {
      for (const ManifestModule& module : layer.modules(kind)) {
        if (!modules.insert(module.uid).second) throw Error("the manifest has the module " + module.uid + " twice");
      }
    }
  }
}

/// Writes the rows of one version, inside the caller's transaction. A bank that the parent has as well is only named
/// again: most commands change few.
class VersionWriter {
 public:
  VersionWriter(Database& db, const Commit& commit, std::int64_t now)
      : db_(db), commit_(commit), now_(now), parent_(ManifestReader(db).banks(commit.parent)) {
    for (const auto& [place, bank] : parent_) {
      for (std::size_t i = 0; i < bank.modules.size(); ++i) {
        parent_revisions_.emplace(bank.modules[i].uid, bank.revisions[i]);
      }
    }
  }

  void objects(const ObjectStore& store) {
    Query insert(db_, "INSERT OR IGNORE INTO objects (hash, size_bytes) VALUES (?, ?)");
    for (const std::string& hash : named_objects()) insert.bind(hash, store.size(hash)).run();
  }

  void new_modules() {
    Query insert(db_, "INSERT INTO modules VALUES (?, ?, ?, ?, ?, ?, NULLIF(?, ''), ?) ON CONFLICT (uid) DO NOTHING");
    for (const ModuleRecord& module : commit_.new_modules) {
      insert
          .bind(module.uid, to_string(module.kind), module.layer, commit_.operation_id, module.born_command,
                module.born_task, module.copied_from, now_)
          .run();
      require_place(module.uid, module.layer, module.kind);
    }
  }

  void version(const VersionRecord& version) {
    Query(db_,
          "INSERT INTO versions (hash, content_hash, parent_hash, operation_id, model, number, created_ms, "
          "config_json, tokenizer_object) VALUES (?, ?, NULLIF(?, ''), ?, ?, ?, ?, ?, NULLIF(?, ''))")
        .bind(version.hash, version.content_hash, version.parent, version.operation_id, version.model, version.number,
              version.created_ms, commit_.manifest.config_json, commit_.manifest.tokenizer_object)
        .run();
    const std::int64_t id = db_.last_inserted_id();
    parts(id);
    layers(id);
  }

 private:
  /// All objects of the manifest but those of banks that are the parent's.
  std::set<std::string> named_objects() const {
    std::set<std::string> hashes;
    const auto add = [&](const std::string& hash) {
      if (!hash.empty()) hashes.insert(hash);
    };
    add(commit_.manifest.tokenizer_object);
    for (const TrunkPart& part : commit_.manifest.parts) hashes.insert(part.object_hash);
    for (int number = 0; const LayerManifest& layer : commit_.manifest.layers) {
      for (const Kind kind : kKinds) {
        add(layer.router(kind));
        if (bank_of_parent(number, kind) != 0) continue;
        for (const ManifestModule& module : layer.modules(kind)) hashes.insert(module.object_hash);
      }
      ++number;
    }
    return hashes;
  }

  void parts(std::int64_t version) {
    Query make(db_, "INSERT OR IGNORE INTO parts (name, object_id) VALUES (?, ?)");
    Query insert(db_, "INSERT INTO version_parts SELECT ?, ?, id FROM parts WHERE name = ? AND object_id = ?");
    for (int position = 0; const TrunkPart& part : commit_.manifest.parts) {
      const std::int64_t object = object_id(part.object_hash);
      make.bind(part.name, object).run();
      insert.bind(version, position++, part.name, object).run();
    }
  }

  void layers(std::int64_t version) {
    Query insert(db_, "INSERT INTO version_banks VALUES (?, ?, NULLIF(?, 0))");
    for (int number = 0; const LayerManifest& layer : commit_.manifest.layers) {
      for (const Kind kind : kKinds) {
        const std::int64_t of_parent = bank_of_parent(number, kind);
        const std::int64_t bank = of_parent != 0 ? of_parent : new_bank(number, kind);
        insert.bind(version, bank, layer.router(kind).empty() ? 0 : object_id(layer.router(kind))).run();
      }
      ++number;
    }
  }

  /// The parent's bank of this place if it has the same modules with the same weights; else 0.
  std::int64_t bank_of_parent(int layer, Kind kind) const {
    const auto found = parent_.find({layer, kind});
    const bool same = found != parent_.end() &&
                      found->second.modules == commit_.manifest.layers[static_cast<std::size_t>(layer)].modules(kind);
    return same ? found->second.id : 0;
  }

  std::int64_t new_bank(int layer, Kind kind) {
    make_bank_.bind(layer, to_string(kind)).run();
    const std::int64_t bank = db_.last_inserted_id();
    for (int position = 0;
         const ManifestModule& module : commit_.manifest.layers[static_cast<std::size_t>(layer)].modules(kind)) {
      require_place(module.uid, layer, kind);
      make_module_.bind(bank, position++, revision(module), module.frozen).run();
    }
    return bank;
  }

  std::int64_t object_id(const std::string& hash) {
    object_.bind(hash);
    if (!object_.next()) throw Error("object " + hash + " is in the manifest, but not in the registry");
    return object_.integer(0);
  }

  void require_place(const std::string& uid, int layer, Kind kind) {
    place_.bind(uid);
    if (!place_.next()) {
      throw Error("module " + uid + " is in the manifest, but it is neither known nor among the new ones");
    }
    if (place_.text(0) != to_string(kind) || place_.integer(1) != layer) {
      throw Error("module " + uid + " belongs to layer " + place_.text(1) + ", kind " + place_.text(0) +
                  ", not to layer " + std::to_string(layer) + ", kind " + std::string(to_string(kind)));
    }
  }

  /// The module's revision with these weights: the one there is, or a new one.
  std::int64_t revision(const ManifestModule& module) {
    known_revision_.bind(module.uid, module.object_hash);
    if (known_revision_.next()) return known_revision_.integer(0);
    const auto parent = parent_revisions_.find(module.uid);
    new_revision_
        .bind(module.uid, module.object_hash, parent == parent_revisions_.end() ? 0 : parent->second,
              commit_.operation_id, now_)
        .run();
    return db_.last_inserted_id();
  }

  Database& db_;
  const Commit& commit_;
  std::int64_t now_;
  StoredBanks parent_;
  std::unordered_map<std::string, std::int64_t> parent_revisions_;
  Query object_{db_, "SELECT id FROM objects WHERE hash = ?"};
  Query make_bank_{db_, "INSERT INTO banks (layer, kind) VALUES (?, ?)"};
  Query make_module_{db_, "INSERT INTO bank_modules VALUES (?, ?, ?, ?)"};
  Query place_{db_, "SELECT kind, layer FROM modules WHERE uid = ?"};
  Query known_revision_{db_, "SELECT id FROM revisions WHERE module_uid = ? AND object_hash = ?"};
  Query new_revision_{db_,
                      "INSERT INTO revisions (module_uid, object_hash, parent_id, operation_id, created_ms) "
                      "VALUES (?, ?, NULLIF(?, 0), ?, ?)"};
};

std::string current_version(Database& db, const std::string& model) {
  Query row(db, "SELECT current_version FROM models WHERE name = ?");
  row.bind(model);
  return row.next() ? row.text(0) : "";
}

bool is_taken(Database& db, const std::string& name) {
  Query row(db, "SELECT 1 FROM models WHERE name = ?1 UNION ALL SELECT 1 FROM tags WHERE name = ?1");
  row.bind(name);
  return row.next();
}

bool is_version(Database& db, const std::string& hash) {
  Query row(db, "SELECT 1 FROM versions WHERE hash = ?");
  row.bind(hash);
  return row.next();
}

/// The model's name, if it was renamed or removed meanwhile, or one beside it.
std::string free_name_beside(Database& db, const std::string& model) {
  std::string name = model;
  for (int number = 2; is_taken(db, name); ++number) name = model + "-" + std::to_string(number);
  return name;
}

int next_number(Database& db, const std::string& model) {
  Query row(db, "SELECT 1 + coalesce(max(number), 0) FROM versions WHERE model = ?");
  row.bind(model);
  row.next();
  return static_cast<int>(row.integer(0));
}

void require_births_in_manifest(const Commit& commit) {
  std::unordered_set<std::string> uids;
  for (const LayerManifest& layer : commit.manifest.layers) {
    for (const Kind kind : kKinds) {
      for (const ManifestModule& module : layer.modules(kind)) uids.insert(module.uid);
    }
  }
  for (const ModuleRecord& module : commit.new_modules) {
    if (!uids.contains(module.uid)) throw Error("module " + module.uid + " is new, but not in the manifest");
  }
}

}  // namespace

CommitResult Registry::commit_version(const Commit& commit) {
  if (current_version(*db_, commit.model).empty()) require_valid_name("model", commit.model);
  require_distinct_names(commit.manifest);
  require_births_in_manifest(commit);
  objects_.flush();  // before the transaction, so that others need not wait for the disk
  const std::int64_t now = now_ms();

  WriteTransaction transaction(*db_);
  const OperationRecord operation = running_operation(commit.operation_id);
  if (!commit.parent.empty()) version(commit.parent);  // throws if unknown
  const std::string current = current_version(*db_, commit.model);
  if (current.empty() && !commit.expected_current.empty() && !is_version(*db_, commit.expected_current)) {
    model(commit.model);  // throws: there is no such model, and never was
  }

  CommitResult result;
  // Nothing is lost because of a name: not if it moved on, nor if it was removed, or given to a tag.
  result.kept_beside = current != commit.expected_current || (current.empty() && is_taken(*db_, commit.model));
  VersionRecord& made = result.version;
  const ManifestHashes hashes = manifest_hashes(commit.manifest, commit.parent, operation.uid);
  made.hash = hashes.version;
  made.content_hash = hashes.content;
  made.parent = commit.parent;
  made.operation_id = commit.operation_id;
  made.model = result.kept_beside ? free_name_beside(*db_, commit.model) : commit.model;
  made.number = next_number(*db_, made.model);
  made.created_ms = now;

  // The model's row comes first, since versions refer to it; its own reference is checked at the end.
  Query(*db_,
        "INSERT INTO models (name, current_version, created_ms) VALUES (?, ?, ?) "
        "ON CONFLICT (name) DO UPDATE SET current_version = excluded.current_version")
      .bind(made.model, made.hash, now)
      .run();
  VersionWriter writer(*db_, commit, now);
  writer.objects(objects_);
  writer.new_modules();
  writer.version(made);
  Query(*db_, "INSERT OR IGNORE INTO settings VALUES ('current_model', ?)").bind(made.model).run();
  end_operation(commit.operation_id, Outcome::done, commit.message, made.hash);
  transaction.commit();
  running_.erase(commit.operation_id);
  return result;
}

/// A version that comes from another workspace, with its modules' rows, inside the caller's transaction.
void Registry::write_version(const Manifest& manifest, const VersionRecord& made) {
  require_distinct_names(manifest);
  Commit commit;
  commit.operation_id = made.operation_id;
  commit.parent = made.parent;
  commit.manifest = manifest;
  VersionWriter writer(*db_, commit, made.created_ms);
  writer.objects(objects_);
  VersionRecord version = made;
  version.content_hash = content_hash(manifest);
  writer.version(version);
}

void Registry::move_model(std::int64_t operation_id, const std::string& model_name, const std::string& seen,
                          const std::string& version_hash, const std::string& message) {
  WriteTransaction transaction(*db_);
  running_operation(operation_id);  // throws if it has ended
  version(version_hash);            // throws if unknown
  if (model(model_name).current_version != seen) {
    throw Error("another command has moved the model '" + model_name + "' meanwhile; it was left where it is",
                "mformer log shows what happened; then run the command again");
  }
  Query(*db_, "UPDATE models SET current_version = ? WHERE name = ?").bind(version_hash, model_name).run();
  end_operation(operation_id, Outcome::done, message, version_hash);
  transaction.commit();
  running_.erase(operation_id);
}

}  // namespace mformer
