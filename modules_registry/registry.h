// Longer than other files: one class is the whole interface of the registry, and this its manual; the code behind it
// lies in registry_*.cpp.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "modules_registry/change_count.h"
#include "modules_registry/file_lock.h"
#include "modules_registry/object_store.h"
#include "modules_registry/parcel.h"
#include "modules_registry/records.h"

namespace mformer {

class Database;

/// `repair` is read_write on a registry that may be damaged: for Registry::repair.
enum class OpenMode { read_only, read_write, repair };

/// What Registry::begin_operation writes down.
struct OperationStart {
  std::string command;
  std::string arguments_json = "{}";
  std::int64_t seed = 0;
  std::string code_version;
  std::string model;  ///< the model that it works on, or empty; need not exist yet
  std::vector<OperationData> data;
  TypedCommand typed{};
};

/// What Registry::commit_version makes a version of.
struct Commit {
  std::int64_t operation_id = 0;          ///< must be running in this Registry
  std::string model;                      ///< gets the version; made if it does not exist
  std::string parent;                     ///< the version it was made from, of any model; "" for none
  std::string expected_current;           ///< what `model` pointed to when the work began; "" if it did not exist
  Manifest manifest;                      ///< all its objects must be in the store
  std::vector<ModuleRecord> new_modules;  ///< modules born; a uid already known must agree in kind and layer
  std::string message;                    ///< for the log; may be empty
};

struct CommitResult {
  VersionRecord version;
  /// True when `expected_current` no longer held: another command moved, renamed or removed the model first. Nothing is
  /// lost: the version was kept as the first of a new model, called "<model>-2" (or the next free number) where
  /// <model> is taken; its name is in `version.model`.
  bool kept_beside = false;
};

struct GcResult {
  std::int64_t models = 0;       ///< removed models whose versions went for good
  std::int64_t tasks = 0;        ///< removed or replaced tasks that went for good, with their statistics and scores
  std::int64_t versions = 0;     ///< of the removed models; those that something else descends from stay
  std::string waits_for;         ///< the running operation because of which removed models and tasks stayed, or empty
  std::int64_t objects = 0;      ///< object files that no version names
  std::int64_t temporaries = 0;  ///< unfinished files and locks that killed processes left
  std::int64_t object_bytes = 0;
  std::set<std::string> freed_versions;  ///< their hashes
  std::set<std::string> freed_tasks;     ///< as task_contents() leaves them out
  std::int64_t bytes = 0;                ///< of both
};

struct RepairOptions {
  /// Workspaces (or their .mformer or objects folders) that may have good copies of damaged or missing objects.
  std::vector<std::filesystem::path> sources;
  /// Takes all rows as they are for right: after an edit with another tool, or where a loss can't be helped.
  bool reseal = false;
};

struct RepairResult {
  std::vector<std::string> healed;  ///< one sentence each
  std::vector<std::string> left;    ///< what fsck finds now
};

/// The memory of a workspace: `DIR/.mformer` with `registry.db` (SQLite) and `objects/`. docs/registry.md has the
/// tables.
///
/// Any number of processes may have one open. A writer waits up to 10 s for another's transaction. Every method that
/// writes is one transaction: done wholly or not at all, and on disk when it returns. Killed anywhere, the registry is
/// whole; at worst object files are left that no version names, which gc() removes.
///
/// All methods throw Error (what and where, with a hint) if the database is busy, damaged, or can't be written; methods
/// that write throw it on a registry opened read_only. One thread at a time for each object.
class Registry {
 public:
  /// Makes `dir`/.mformer (and `dir`) and opens it for writing. Throws Error if there is a registry already.
  static Registry create(const std::filesystem::path& dir);

  /// Opens `dir`/.mformer; `dir` may also be the .mformer folder itself. read_write brings an older schema up to date
  /// and marks operations whose process died as interrupted; read_only changes nothing, and works in a folder that
  /// can't be written to. Throws Error if there is none, or its schema is newer than this program, or (read_only)
  /// older, or it is empty beside objects; and, unless read_only or repair, if commands that were committed to it are
  /// lost: its log is damaged, or it is an older copy.
  static Registry open(const std::filesystem::path& dir, OpenMode mode);

  /// The nearest folder, from `start` upwards, that holds a registry (to be given to open), or nothing.
  static std::optional<std::filesystem::path> find(const std::filesystem::path& start);

  Registry(Registry&&) noexcept;
  Registry& operator=(Registry&&) noexcept;
  /// Operations still running are shown as interrupted from now on.
  ~Registry();

  ObjectStore& objects() { return objects_; }
  const ObjectStore& objects() const { return objects_; }
  /// The .mformer folder.
  const std::filesystem::path& folder() const { return folder_; }
  /// The folder that holds it, absolute: what the paths of tasks are relative to that lie in it.
  std::filesystem::path workspace() const;

  /// From now on whatever takes long asks this from time to time, and throws StoppedError when it says so. A write that
  /// has begun is ended first.
  void stop_when(std::function<bool()> should_stop);

  /// From now on fsck() and gc() tell this how far they are: the name of what they do, how many of how many things.
  using Progress = std::function<void(const std::string& what, std::int64_t done, std::int64_t total)>;
  void show_progress(Progress progress);

  /// Runs `work`, whose writes are one transaction: all done, or, if it throws, none.
  void atomically(const std::function<void()>& work);

  // ---- Operations -------------------------------------------------------------------------------------------------

  /// Writes the start of a command down. Returns its id. Throws UsageError if `model` is a tag.
  std::int64_t begin_operation(const OperationStart& start);

  /// Ends a running operation without a version. An operation that has ended already keeps its outcome: so a caller's
  /// error path may always call this.
  void finish_operation(std::int64_t id, Outcome outcome, const std::string& message = "");

  /// Throws UsageError for an unknown id.
  OperationRecord operation(std::int64_t id) const;

  /// Newest first; `limit` 0 means all.
  std::vector<OperationRecord> operations(int limit = 0) const;

  /// Ids of all runs of a command, rising.
  std::vector<std::int64_t> operations_of(const std::string& command) const;

  // ---- Versions and models ----------------------------------------------------------------------------------------

  /// Makes a version, moves its model to it and ends the operation as done, in one transaction. Modules in
  /// `new_modules` are born; a module whose object is new for it gets a revision whose parent is its revision in the
  /// parent version. The first model of a workspace becomes the current one. Throws Error, and changes nothing, if an
  /// object is missing, a module or the parent is unknown, or the operation is not running.
  CommitResult commit_version(const Commit& commit);

  /// Moves `model` to a version that exists (undo does) and ends the operation as done. `seen` is where the caller saw
  /// it and what it decided upon: throws Error, and moves nothing, if the model stands elsewhere.
  void move_model(std::int64_t operation_id, const std::string& model, const std::string& seen,
                  const std::string& version, const std::string& message = "");

  /// The model that commands work on unless told otherwise. Throws UsageError if there is none of this name.
  void set_current_model(const std::string& name);
  /// Its name; "" while the workspace has no model.
  std::string current_model() const;
  /// Makes the version's own model the current one, but lets commands that name none read this version, wherever the
  /// model goes, until set_current_model(). Throws UsageError for an unknown version or one of a removed model.
  void look_at(const std::string& version);
  /// Its hash; "" where commands read what the current model points to.
  std::string looked_at() const;

  /// In the order in which they were made.
  std::vector<ModelRecord> models() const;
  /// Throws UsageError, with the nearest names, for an unknown name.
  ModelRecord model(const std::string& name) const;
  /// Versions made for this model, oldest first.
  std::vector<VersionRecord> versions(const std::string& model) const;

  /// Every version, those of removed models too, in the order in which they were made.
  std::vector<VersionRecord> all_versions() const;

  /// Oldest first.
  std::vector<ModelMove> model_moves() const;

  /// The version that a reference means: a model's name (its current version), "name@number", or the first 4 or more
  /// digits of a version hash; names, of models and tags, come first. "" means looked_at() or the current model.
  /// Versions of a removed model have their hash until gc frees them. Throws UsageError when it means none (hint:
  /// nearest names) or more than one (the message lists them).
  VersionRecord resolve(const std::string& ref) const;
  /// Those whose hash begins with these digits (4 or more, of either case; none where the text is something else),
  /// oldest first.
  std::vector<VersionRecord> versions_that_begin(const std::string& prefix) const;
  /// By full hash. Throws UsageError if unknown.
  VersionRecord version(const std::string& hash) const;

  /// Throws UsageError for an unknown version, Error for one whose rows are not those that it was made with.
  Manifest manifest(const std::string& version) const;

  /// True if `ancestor` is `descendant` itself or one of its parents, their parents, and so on.
  bool is_ancestor(const std::string& ancestor, const std::string& descendant) const;

  /// Bytes of all objects that the version is made of, each once.
  std::int64_t version_bytes(const std::string& version) const;
  /// Bytes of the objects that its parent does not have.
  std::int64_t added_bytes(const std::string& version) const;
  /// Bytes of an object that some version names; 0 of any other.
  std::int64_t object_bytes(const std::string& hash) const;

  // ---- Names ------------------------------------------------------------------------------------------------------

  /// Gives a model (with all its versions) or a task (with its statistics and scores) another name, and ends the
  /// operation as done. Throws what require_renamable() throws.
  void rename(std::int64_t operation_id, Thing thing, const std::string& from, const std::string& to);
  /// Throws UsageError for an unknown name, one that is not valid, or one that is taken (by a model or tag, for a
  /// model); Error while a command other than `own` that runs works on the model, or trains on the task.
  void require_renamable(Thing thing, const std::string& from, const std::string& to, std::int64_t own = 0) const;

  /// Takes a model with its versions, or a task with its statistics and scores, out of sight, or a tag away, and ends
  /// the operation as done. last_name_change() and take_back() bring it back, until gc frees it. A task's texts are not
  /// touched. Throws what require_removable() throws.
  void remove(std::int64_t operation_id, Thing thing, const std::string& name);
  /// Throws as require_renamable(), and Error for the current model.
  void require_removable(Thing thing, const std::string& name, std::int64_t own = 0) const;

  /// Makes a model that points to a version that exists and has none of its own yet, and ends the operation as done.
  /// Throws UsageError for an unknown version, and for a name that is not valid, or that a model or tag has.
  void make_model(std::int64_t operation_id, const std::string& name, const std::string& version);
  void require_new_model(const std::string& name) const;

  /// Names a version for ever and ends the operation as done. Throws UsageError for an unknown version, and what
  /// require_taggable() throws.
  void make_tag(std::int64_t operation_id, const std::string& name, const std::string& version);
  /// Throws UsageError for a name that is not valid, or that a model or tag has.
  void require_taggable(const std::string& name) const;
  /// Oldest first.
  std::vector<TagRecord> tags() const;
  /// Throws UsageError, with the nearest names, for an unknown name.
  TagRecord tag(const std::string& name) const;

  // ---- Taking back ------------------------------------------------------------------------------------------------

  /// The newest operation on names that was not taken back and that gc did not make final; with `model` only renames of
  /// that model and its removal.
  std::optional<NameChange> last_name_change(const std::string& model = "") const;
  /// Takes the operation `undone` on names back and ends `operation_id` as done. Throws Error if it can't be taken back
  /// (any more), UsageError if its name is taken by now.
  void take_back(std::int64_t operation_id, std::int64_t undone);
  /// What an operation did to a name, whether it can be taken back (any more) or not. An undo has done the opposite.
  std::optional<NameChange> name_change(std::int64_t operation_id) const;
  /// Does again, as `operation_id`, which it ends as done and which can be taken back, what the operation `undone` did
  /// to a name and the operation `undo` took back. Throws as rename(), remove(), make_tag() and make_model(), and Error
  /// if gc has freed what the undo set aside.
  void do_again(std::int64_t operation_id, std::int64_t undone, std::int64_t undo);

  // ---- From other workspaces --------------------------------------------------------------------------------------

  /// What copies of a workspace share and no others have: the uid of its first own operation; "" before that.
  std::string identity() const;
  bool has_version(const std::string& hash) const;
  /// Takes over what is not known yet of a parcel whose objects are all in the store, points `model` (made if `seen`,
  /// what the caller saw it point to, is "") to its current version, and ends the operation as done: all in one
  /// transaction. Versions keep their hashes, modules and operations their uids; of tasks with the same data come the
  /// measurements that are missing here. Throws Error, and changes nothing, if a version is not what its hash says,
  /// anything that it names is missing, or another command has moved the model.
  Adopted adopt(std::int64_t operation_id, const Parcel& parcel, const std::string& model, const std::string& seen,
                const std::string& message);
  /// Takes over only the measurements of a parcel, of versions that are here, and ends the operation as done: in one
  /// transaction.
  Adopted adopt_measurements(std::int64_t operation_id, const Parcel& parcel, const std::string& message);

  // ---- Modules ----------------------------------------------------------------------------------------------------

  /// Throws UsageError for an unknown uid.
  ModuleRecord module(const std::string& uid) const;
  /// The modules of a version, by layer, kind (att first) and index.
  std::vector<ModuleRecord> modules(const std::string& version) const;
  /// Uids of known modules that begin so, at most `limit`, in their order.
  std::vector<std::string> modules_that_begin(const std::string& prefix, int limit) const;
  /// Oldest first.
  std::vector<Revision> revisions(const std::string& uid) const;
  /// Modules of version `later` that version `earlier` does not have.
  std::set<std::string> born_after(const std::string& earlier, const std::string& later) const;

  // ---- Tasks, statistics, scores ----------------------------------------------------------------------------------

  /// A task already known with the same content hash stays as it is. With another content: Error, or with `replace` the
  /// task changes, and its statistics and scores, which belong to the old data, go out of sight with it:
  /// `task.created_operation` can be taken back. With `ends`, that operation ends as done in the same transaction.
  void add_task(const TaskRecord& task, bool replace = false, std::int64_t ends = 0);
  bool has_task(const std::string& name) const;
  /// Content hashes of all tasks, also of those that were removed or replaced and that an undo can bring back, but not
  /// of those that gc freed or, in a dry run, would free.
  std::set<std::string> task_contents(const std::set<std::string>& freed = {}) const;
  /// Changes where the data lies, and nothing else; not an operation. Throws UsageError for an unknown name.
  void place_task(const std::string& name, const std::string& data_path);
  /// The same as an operation, which it ends as done and which can be taken back.
  void move_task(std::int64_t operation_id, const std::string& name, const std::string& data_path);
  /// The name that a task has now whose name was `name` when `operation` recorded it: renames since are followed. Of a
  /// task that was removed since, a name that no task has.
  std::string task_name_now(const std::string& name, std::int64_t operation) const;
  /// The absolute path that a path as it is kept (NameChange::before) means now.
  std::string place_of(const std::string& kept) const;
  /// Places below the workspace's folder where the data of a task with an old path may lie if that path is gone,
  /// because the workspace was moved: endings of the path that exist here, longest first. Whether it is the same data
  /// is for the caller to see. Empty for other tasks.
  std::vector<std::filesystem::path> other_places(const TaskRecord& task) const;
  /// Throws UsageError, with the nearest names, for an unknown name.
  TaskRecord task(const std::string& name) const;
  /// In the order in which they were added.
  std::vector<TaskRecord> tasks() const;

  /// Replaces all statistics of (version, task) on the same split and token limit. Values must be finite; modules must
  /// belong to the version.
  void put_routing_stats(const std::string& version, const std::string& task, std::span<const RoutingStat> stats,
                         const Measured& on = {});
  /// Those that were recorded last, or with `on` those on that split and token limit. By layer, kind (att first) and
  /// the module's index; empty if none were recorded.
  std::vector<RoutingStat> routing_stats(const std::string& version, const std::string& task) const;
  std::vector<RoutingStat> routing_stats(const std::string& version, const std::string& task, const Measured& on) const;
  /// On what there are statistics of a version and task, in the order in which they were recorded.
  std::vector<Measured> routings(const std::string& version, const std::string& task) const;
  /// The same of all versions and tasks.
  std::vector<RoutingLook> routings() const;

  /// Replaces the score of the same (version, task, split, metric, part, token limit). The value must be finite.
  void put_score(const Score& score);
  /// Oldest first; an empty version or task means all.
  std::vector<Score> scores(const std::string& version = "", const std::string& task = "") const;

  // ---- Settings ---------------------------------------------------------------------------------------------------

  std::optional<std::string> setting(const std::string& key) const;
  void set_setting(const std::string& key, const std::string& value);

  // ---- Upkeep -----------------------------------------------------------------------------------------------------

  /// Frees models and tasks that were removed more than `grace_ms` ago: their rows, but for versions that a model, a
  /// tag or a version kept by them is, descends from or was merged from; nothing while an operation runs. What was
  /// freed can't be taken back. Then removes object files that no version names (any more), and leftovers as sweep()
  /// does, if they are older than `grace_ms`. Objects that an operation which still runs has put are its own (see
  /// object_claims.h), and so are other unfinished files that were written since the oldest of them began. With
  /// `dry_run` it only counts. Throws Error, and removes nothing that the registry should know, if rows of it were
  /// changed or lost, or there is no version at all.
  GcResult gc(bool dry_run, std::int64_t grace_ms = 60 * 60 * 1000);

  /// Removes what killed processes left in `dir`/.mformer: unfinished files and locks. Needs no database, and so no
  /// space on the disk.
  static GcResult sweep(const std::filesystem::path& dir, bool dry_run, std::int64_t grace_ms);

  /// Reads every object again, checks every row, reference and seal. Returns all problems, one sentence each; empty =
  /// sound.
  std::vector<std::string> fsck() const;

  /// Heals what can be healed: objects from the sources, sizes, indexes, leftovers. Rows that were changed stay as they
  /// are. For a registry opened with OpenMode::repair. Throws UsageError for a source without objects.
  RepairResult repair(const RepairOptions& options);

 private:
  friend class VersionPairs;
  Registry(std::filesystem::path folder, std::unique_ptr<Database> db);

  Manifest read_manifest(const std::string& version) const;
  std::vector<RoutingStat> stats_of_routing(std::int64_t routing) const;
  void tell(const char* what, std::size_t done, std::size_t total) const;
  bool has_manifest(const std::string& version, const Manifest& manifest) const;
  void check_rows(std::vector<std::string>& problems) const;
  std::map<std::string, std::string> broken_objects() const;  ///< by hash: what is wrong with each
  std::vector<std::string> restore_objects(const std::vector<std::filesystem::path>& sources,
                                           std::vector<std::string>& healed);
  void reseal();
  int migrate();
  void require_current_schema() const;
  void require_nothing_lost() const;
  void require_nobody_at_work() const;
  void require_sealed_rows() const;
  void require_all_changes(const ChangeCount::Found& written) const;
  void mark_interrupted_operations();
  std::filesystem::path lock_path(const std::string& operation_uid) const;
  void adopt_old_paths();
  std::string kept_path(const std::string& path) const;
  void require_idle(std::int64_t own, Thing thing, const std::string& name) const;
  void put_path(const std::string& task, const std::string& kept);
  void write_version(const Manifest& manifest, const VersionRecord& made);
  void take_measurements(const Parcel& parcel, const std::map<std::string, std::int64_t>& operations, Adopted& adopted);
  void insert_task(const TaskRecord& task, const std::string& known, bool replace);
  void set_aside(const NameChange& change);
  void free_removed(bool dry_run, std::int64_t grace_ms, GcResult& result);
  void take_back_rows(std::int64_t operation_id, const NameChange& change);
  void take_back_tag(std::int64_t operation_id, const NameChange& change);
  void require_set_aside(Thing thing, const std::string& kept) const;
  OperationRecord running_operation(std::int64_t id) const;
  void end_operation(std::int64_t id, Outcome outcome, const std::string& message, const std::string& version_after);

  std::filesystem::path folder_;
  std::unique_ptr<Database> db_;
  ObjectStore objects_;
  Progress progress_;
  std::map<std::int64_t, FileLock> running_;  ///< operations begun here and not yet ended
};

}  // namespace mformer
