#include "core/workflows/moves.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace mformer {
namespace {

/// What an operation that is done did to the model or to a name.
struct Step {
  const OperationRecord& operation;
  bool moves = false;                ///< the model points to another version since
  std::optional<NameChange> change;  ///< of any name
  std::string name;                  ///< the model's name when it was done
};

/// Whether the operation moved the model that is called `now` today and was called `then`.
bool moves_model(const Registry& registry, const OperationRecord& operation, const std::string& now,
                 const std::string& then) {
  if (operation.version_after.empty()) return false;
  const VersionRecord after = registry.version(operation.version_after);
  // A version is its model's own even if it was kept beside; others moved the model that they worked on.
  return after.operation_id == operation.id ? after.model == now : operation.model == then;
}

/// Calls `take` for what was done, newest first, until it returns false.
void walk_back(const Registry& registry, const std::string& model, const std::function<bool(const Step&)>& take) {
  std::string name = model;
  std::size_t seen = 0;
  for (int limit = 64;; limit = limit == 64 ? 1024 : 0) {  // 0: all
    const std::vector<OperationRecord> operations = registry.operations(limit);
    for (; seen < operations.size(); ++seen) {
      const OperationRecord& operation = operations[seen];
      if (operation.outcome != Outcome::done || !operation.origin.empty()) continue;
      Step step{operation, moves_model(registry, operation, model, name), registry.name_change(operation.id), name};
      if ((step.moves || step.change) && !take(step)) return;
      const bool is_model = step.change && step.change->thing == Thing::model;
      if (!is_model || step.change->new_name != name) continue;
      if (step.change->change == "make" && operation.command != "redo")
        name.clear();  // what had the name before was another model
      // What was brought back kept its versions under a name with a blank, which no operation worked on.
      if (step.change->change == "rename" && step.change->old_name.find(' ') == std::string::npos) {
        name = step.change->old_name;
      }
    }
    if (limit == 0 || operations.size() < static_cast<std::size_t>(limit)) return;
  }
}

bool is_of_model(const NameChange& change, const std::string& name) {
  return change.thing == Thing::model && (change.new_name == name || change.old_name == name);
}

}  // namespace

std::optional<OperationRecord> last_move(const Registry& registry, const std::string& model) {
  int undone = 0;
  std::optional<OperationRecord> found;
  walk_back(registry, model, [&](const Step& step) {
    if (!step.moves) return true;
    if (step.operation.command == "undo") return ++undone, true;
    if (undone > 0) return --undone, true;
    found = step.operation;
    return false;
  });
  if (found && found->version_after != registry.model(model).current_version) found.reset();
  return found;
}

std::optional<OperationRecord> last_undo(const Registry& registry, const std::string& model, bool all_names) {
  int redone = 0;
  std::optional<OperationRecord> found;
  walk_back(registry, model, [&](const Step& step) {
    if (!step.moves && !all_names && !is_of_model(*step.change, step.name)) return true;
    if (step.operation.command == "redo") return ++redone, true;
    if (step.operation.command != "undo") return false;
    if (redone > 0) return --redone, true;
    found = step.operation;
    return false;
  });
  return found;
}

std::int64_t undone_by(const OperationRecord& undo) {
  const auto arguments = nlohmann::json::parse(undo.arguments_json, nullptr, /*allow_exceptions=*/false);
  if (!arguments.is_object() || !arguments.contains("operation")) return 0;
  const auto& operation = arguments["operation"];
  return operation.is_number_integer() ? operation.get<std::int64_t>() : 0;
}

std::string undo_arguments(std::int64_t undone) {
  return nlohmann::json{{"operation", undone}}.dump();
}

}  // namespace mformer
