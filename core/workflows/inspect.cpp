#include "core/workflows/inspect.h"

#include "core/workflows/stages.h"

namespace mformer {
namespace {

constexpr std::int64_t kTokensPerTask = 65536;  // of a task, where nothing else is asked for

/// The task's data, or, if it can't be read and was not asked for by name, nothing and a message.
std::optional<TaskData> data_of(Session& session, const LoadedVersion& version, const std::string& name, bool asked) {
  try {
    return open_task(session, require_tokenizer(version), name, "");
  } catch (const Error& e) {
    if (asked) throw;
    session.watcher.say("task '" + name + "' is left out: " + e.what());
    return std::nullopt;
  }
}

}  // namespace

std::vector<TaskRouting> inspect_routing(Session& session, const LoadedVersion& version,
                                         const InspectRoutingCommand& command, bool keep) {
  require_tokenizer(version);
  std::vector<std::string> names = command.tasks;
  if (names.empty()) {
    for (const TaskRecord& task : session.registry.tasks()) names.push_back(task.name);
  }
  if (names.empty()) throw UsageError("there is no task to look at", "add one: mformer task add NAME --data DIR");
  announce_stages(session, version, command);
  std::vector<TaskRouting> all;
  for (const std::string& name : names) {
    session.registry.task(name);  // an unknown task names its neighbours
    TaskRouting routing{name, session.registry.routing_stats(version.record.hash, name), false, 0};
    if (routing.stats.empty() || command.measures_again()) {
      const auto task = data_of(session, version, name, !command.tasks.empty());
      if (!task.has_value()) continue;
      const Split split = measurable_split(session, *task);
      const std::int64_t limit = command.max_tokens.value_or(kTokensPerTask);
      routing.stats = collect_routing(session, version.model, *task, split, limit, command.trace);
      routing.measured = true;
      if (keep) {
        session.registry.put_routing_stats(version.record.hash, name, routing.stats, measured_on(split, limit));
      }
    }
    routing.ninety_percent = ninety_percent_share(routing.stats);
    all.push_back(std::move(routing));
  }
  if (all.empty()) throw Error("the data of no task can be read", "mformer tasks lists where each should be");
  return all;
}

}  // namespace mformer
