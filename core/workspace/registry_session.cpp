#include "core/workspace/registry_session.h"

#include "modules_registry/error.h"

namespace mformer {

namespace {

/// The error that ended the work is the one to tell. What can't be written down on a disk that fails, the next command
/// that writes does: it finds the operation interrupted.
void try_to_end(Registry& registry, std::int64_t operation, Outcome outcome, const std::string& message) {
  try {
    registry.finish_operation(operation, outcome, message);
  } catch (const Error&) {
  }
}

}  // namespace

void run_operation(const RegistrySession& session, const std::string& model, const std::vector<OperationData>& data,
                   const std::function<void(std::int64_t)>& work) {
  Registry& registry = session.registry;
  OperationStart start;
  start.command = session.command;
  start.arguments_json = session.arguments_json;
  start.seed = static_cast<std::int64_t>(session.seed);
  start.code_version = session.code_version;
  start.model = model;
  start.data = data;
  start.typed = session.typed;
  const std::int64_t operation = registry.begin_operation(start);
  try {
    work(operation);
    registry.finish_operation(operation, Outcome::done);
  } catch (const StoppedError& e) {
    try_to_end(registry, operation, Outcome::interrupted, e.what());
    throw;
  } catch (const std::exception& e) {
    try_to_end(registry, operation, Outcome::failed, e.what());
    throw;
  }
}

void refuse_while_looking(const VersionRecord& seen) {
  throw Error("the workspace looks at " + to_string(seen) + ", so no model was moved",
              "mformer use " + seen.model + " goes back to where that stands; to go on from " + to_string(seen) +
                  ": mformer branch NAME " + to_string(seen) + ", then mformer use NAME");
}

}  // namespace mformer
