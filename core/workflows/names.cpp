#include "core/workflows/names.h"

#include "modules_registry/error.h"

namespace mformer {
namespace {

OperationData data_of(const std::string& role, const TaskRecord& task) {
  return {role, task.name, task.data_path, task.content_hash};
}

/// What an operation on a name writes down beside it: the data of a task.
std::vector<OperationData> data_of(const RegistrySession& session, const std::string& role, Thing thing,
                                   const std::string& name) {
  if (thing != Thing::task) return {};
  return {data_of(role, session.registry.task(name))};
}

}  // namespace

void rename(RegistrySession& session, Thing thing, const std::string& from, const std::string& to, bool dry_run) {
  session.registry.require_renamable(thing, from, to);
  if (dry_run) return;
  run_operation(session, thing == Thing::model ? from : "", data_of(session, "rename", thing, from),
                [&](std::int64_t operation) { session.registry.rename(operation, thing, from, to); });
}

void remove(RegistrySession& session, Thing thing, const std::string& name, bool dry_run) {
  session.registry.require_removable(thing, name);
  if (dry_run) return;
  run_operation(session, thing == Thing::model ? name : "", data_of(session, "remove", thing, name),
                [&](std::int64_t operation) { session.registry.remove(operation, thing, name); });
}

VersionRecord make_tag(RegistrySession& session, const std::string& name, const std::string& ref, bool dry_run) {
  const VersionRecord version = session.registry.resolve(ref);
  session.registry.require_taggable(name);
  if (dry_run) return version;
  run_operation(session, "", {},
                [&](std::int64_t operation) { session.registry.make_tag(operation, name, version.hash); });
  return version;
}

VersionRecord make_branch(RegistrySession& session, const std::string& name, const std::string& ref, bool dry_run) {
  const VersionRecord version = session.registry.resolve(ref);
  require_not_removed(version, ref);
  session.registry.require_new_model(name);
  if (dry_run) return version;
  run_operation(session, name, {},
                [&](std::int64_t operation) { session.registry.make_model(operation, name, version.hash); });
  return version;
}

MoveReport move_model(RegistrySession& session, const std::string& model, const std::string& ref, bool dry_run) {
  Registry& registry = session.registry;
  const MoveReport plan{registry.version(registry.model(model).current_version), registry.resolve(ref)};
  require_not_removed(plan.to, ref);
  if (dry_run) return plan;
  run_operation(session, model, {}, [&](std::int64_t operation) {
    registry.move_model(operation, model, plan.from.hash, plan.to.hash, "moved to " + to_string(plan.to));
  });
  return plan;
}

void require_not_removed(const VersionRecord& version, const std::string& ref) {
  if (!version.removed) return;
  throw Error("'" + ref + "' is a version of the model '" + version.model + "', which was removed",
              "bring the model back: mformer undo --model " + version.model +
                  "; or keep the version: mformer tag NAME " + to_string(version));
}

}  // namespace mformer
