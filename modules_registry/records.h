#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mformer {

/// What the registry keeps, as plain values. Hashes are SHA-256 in 64 hexadecimal digits, "" where there is none; ids
/// are positive, 0 where there is none; times are milliseconds since 1970, UTC.

enum class Kind { att, mlp };
std::string_view to_string(Kind kind);
/// Throws UsageError for anything but "att" and "mlp".
Kind kind_from_string(std::string_view text);

/// Names of models, tags, tasks and domains: letters, digits, '.', '_' and '-', and any character beyond ASCII that
/// shows (no control or direction marks, no blanks, no bytes that are not UTF-8); at most 100 bytes; not beginning with
/// '-' or
/// '.'. Tasks and domains, which are named after folders, may have spaces inside. So a name is never mistaken for an
/// option, a selector or "name@number", and looks like no other.
/// `what`: "model", "tag", "task" or "domain".
bool is_valid_name(std::string_view what, std::string_view name);
/// The same, or one that was valid while any byte beyond ASCII was: what is recorded under such a name stays usable.
bool was_valid_name(std::string_view name);
/// Throws UsageError that calls the thing `what` unless the name is valid.
void require_valid_name(std::string_view what, std::string_view name);

/// A module's lasting identity. It never changes after the module's birth.
struct ModuleRecord {
  std::string uid;  ///< 12 hexadecimal digits, unique across workspaces: see random_uid()
  Kind kind = Kind::mlp;
  int layer = 0;
  std::int64_t born_operation = 0;  ///< filled in by Registry::commit_version
  std::string born_command;         ///< "init", "import", "extend" or "graft"
  std::string born_task;            ///< may be empty
  std::string copied_from;          ///< uid whose weights it started from, or empty; may be from another workspace
  std::int64_t created_ms = 0;      ///< filled in by Registry::commit_version
};

/// One set of weights of a module.
struct Revision {
  std::int64_t id = 0;
  std::string module_uid;
  std::string object_hash;
  std::int64_t parent_id = 0;  ///< the revision it was trained from; 0 for a module's first
  std::int64_t operation_id = 0;
  std::int64_t created_ms = 0;
};

/// A module as it stands in one version. Its place in the list is its index in the router.
struct ManifestModule {
  std::string uid;
  std::string object_hash;
  bool frozen = false;  ///< no trainer may change it
  bool operator==(const ManifestModule&) const = default;
};

struct LayerManifest {
  std::vector<ManifestModule> att;
  std::vector<ManifestModule> mlp;
  std::string att_router;  ///< object hash; "" only if the layer has no such router
  std::string mlp_router;
  bool operator==(const LayerManifest&) const = default;

  const std::vector<ManifestModule>& modules(Kind kind) const { return kind == Kind::att ? att : mlp; }
  std::vector<ManifestModule>& modules(Kind kind) { return kind == Kind::att ? att : mlp; }
  const std::string& router(Kind kind) const { return kind == Kind::att ? att_router : mlp_router; }
  std::string& router(Kind kind) { return kind == Kind::att ? att_router : mlp_router; }
};

/// A tensor or group of tensors that belongs to no module and no router, e.g. "wte", "lm_head", "h.0.ln_1".
struct TrunkPart {
  std::string name;  ///< unique in the manifest; free text without a line break
  std::string object_hash;
  bool operator==(const TrunkPart&) const = default;
};

/// Everything that one state of a model is made of.
struct Manifest {
  std::string config_json;
  std::string tokenizer_object;  ///< object hash, or empty
  std::vector<TrunkPart> parts;  ///< in order
  std::vector<LayerManifest> layers;
  bool operator==(const Manifest&) const = default;
};

/// One immutable state of a model.
struct VersionRecord {
  std::string hash;          ///< of manifest, parent and operation: two operations never make the same version
  std::string content_hash;  ///< of the manifest alone: equal when nothing changed
  std::string parent;        ///< version hash, or empty
  std::int64_t operation_id = 0;
  std::string model;
  int number = 0;  ///< counted from 1 for each model: "name@number"
  std::int64_t created_ms = 0;
  bool removed = false;  ///< its model was removed: only its hash and tags name it
};

/// An operation that pointed a model to a version which was there.
struct ModelMove {
  std::int64_t operation_id = 0;
  std::string command, model;
  std::string before, after;  ///< version hashes
};

/// As the command line writes it: "name@number"; of a removed model the first 12 digits of the hash.
std::string to_string(const VersionRecord& version);

struct ModelRecord {
  std::string name;
  std::string current_version;
  int current_number = 0;     ///< number of the current version
  std::string current_model;  ///< name in the current version's own "name@number"; another than `name` after an undo
  int version_count = 0;
  std::int64_t created_ms = 0;
};

enum class Outcome { running, done, failed, interrupted };
std::string_view to_string(Outcome outcome);
Outcome outcome_from_string(std::string_view text);

/// Data that an operation read.
struct OperationData {
  std::string role;  ///< e.g. "train", "replay", "evaluate"
  std::string task;  ///< may be empty
  std::string path;
  std::string content_hash;
  bool operator==(const OperationData&) const = default;
};

/// A command as it was typed.
struct TypedCommand {
  std::string line;  ///< a JSON array of the words behind the program's name; "" where nobody typed it
  /// The working directory, absolute; one in the workspace's folder is kept relative to it, and so moves with it.
  std::string folder;
  int threads = 0;  ///< that computed; 0 where nothing was computed
};

/// One run of a command that writes.
struct OperationRecord {
  std::int64_t id = 0;
  std::string uid;
  std::string command;
  std::string arguments_json;
  std::int64_t seed = 0;
  std::string code_version;
  std::int64_t started_ms = 0;
  std::int64_t ended_ms = 0;  ///< 0 while running
  Outcome outcome = Outcome::running;
  std::string message;
  std::string model;           ///< may be empty
  std::string version_before;  ///< what `model` pointed to when it began; may be empty
  std::string version_after;   ///< the version that it made or moved to; may be empty
  std::vector<OperationData> data;
  TypedCommand typed{};  ///< empty of an operation of an older program
  std::string origin{};  ///< identity of the workspace that it was done in; "" of this one's own
};

struct TaskRecord {
  std::string name;
  std::string data_path;  ///< absolute; below the workspace's folder it goes wherever that is moved or copied
  std::string content_hash;
  std::int64_t token_count = 0;
  std::int64_t document_count = 0;
  std::string heldout_rule;
  std::int64_t created_operation = 0;  ///< 0 if none
  std::int64_t created_ms = 0;         ///< filled in by Registry::add_task
  std::string fields = {};             ///< of its records, as `--fields` names them; "" = the known names
  /// Left out of it when it was recorded; absent where a program recorded it that did not count.
  std::optional<std::int64_t> left_out_files = {}, left_out_records = {};
  /// Recorded while all paths were kept absolute: see Registry::other_places. Filled in on reading.
  bool old_path = false;
};

/// A name for one version, which never moves.
struct TagRecord {
  std::string name;
  std::string version;  ///< version hash
  std::int64_t operation_id = 0;
  std::int64_t created_ms = 0;
};

/// What has a name that people gave it.
enum class Thing { model, task, tag };
std::string_view to_string(Thing thing);
/// Throws UsageError for anything but "model", "task" and "tag".
Thing thing_from_string(std::string_view text);

/// What an operation did to a name, so that it can be taken back.
struct NameChange {
  std::int64_t operation_id = 0;
  Thing thing = Thing::model;
  std::string
      change;  ///< "rename", "remove", "replace" (a task's data), "move" (a task's path), "make" (a tag, a model)
  std::string old_name;  ///< "" for what was made
  std::string new_name;  ///< "" for what was removed
  std::string before;    ///< a task's path as it was kept, a tag's version; "" where there is none
};

/// How much one module is used by a task in a version; sums over `tokens` tokens of the task.
struct RoutingStat {
  int layer = 0;
  Kind kind = Kind::mlp;
  std::string module_uid;
  std::int64_t slots = 0;           ///< how often it was among the k chosen
  double gate_mass = 0;             ///< sum of its gates
  double weighted_output_norm = 0;  ///< sum over its tokens of gate · ‖module output‖
  std::int64_t tokens = 0;          ///< tokens that the router saw
};

/// What statistics were taken on.
struct Measured {
  std::string split;              ///< e.g. "held_out"; "" where an older program did not write it down
  std::int64_t token_limit = -1;  ///< at most so many tokens of it; 0 = all; -1 where it was not written down
  std::int64_t operation_id = 0;  ///< the operation that did; 0 if none
};

/// A look at what a task sends each module of a version.
struct RoutingLook {
  std::string version;  ///< hash
  std::string task;
  Measured on;
};

/// One measured number.
struct Score {
  std::string version;  ///< version hash
  std::string task;
  std::string split;   ///< e.g. "held_out"
  std::string metric;  ///< e.g. "loss"
  double value = 0;
  std::int64_t token_count = 0;   ///< tokens that it was measured on
  std::int64_t operation_id = 0;  ///< 0 if none
  std::int64_t created_ms = 0;    ///< filled in by Registry::put_score
  std::int64_t token_limit = -1;  ///< at most so many tokens were asked for; 0 = all; -1 = not written down
  int part = -1;                  ///< which one of a metric that has several numbers, from 0; else -1
};

}  // namespace mformer
