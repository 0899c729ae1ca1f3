#include "core/workspace/registry_session.h"

#include "modules_registry/error.h"

namespace mformer {

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
    registry.finish_operation(operation, Outcome::interrupted, e.what());
    throw;
  } catch (const std::exception& e) {
    registry.finish_operation(operation, Outcome::failed, e.what());
    throw;
  }
}

}  // namespace mformer
