#include "core/transfer/measurements.h"

#include <map>
#include <nlohmann/json.hpp>

#include "modules_registry/files.h"

namespace mformer {
namespace {

using nlohmann::json;

constexpr std::size_t kDigitsOfWhat = 24, kDigitsOfValue = 8;

std::string digits_of(const json& row, std::size_t count) {
  return sha256_hex(row.dump(-1, ' ', false, json::error_handler_t::replace)).substr(0, count);
}

/// Contents of the data by the names of tasks.
std::map<std::string, std::string> contents_by_task(const Registry& registry) {
  std::map<std::string, std::string> contents;
  for (const TaskRecord& task : registry.tasks()) contents.emplace(task.name, task.content_hash);
  return contents;
}

}  // namespace

std::string mark_of(const Score& score) {
  return digits_of({"score", score.split, score.metric, score.part, score.token_limit}, kDigitsOfWhat) +
         digits_of({score.value}, kDigitsOfValue);
}

std::string mark_of(const Measured& routing) {
  return digits_of({"routing", routing.split, routing.token_limit}, kDigitsOfWhat) + std::string(kDigitsOfValue, '0');
}

MeasurementMarks::MeasurementMarks(const std::vector<Measurements>& measured) {
  for (const Measurements& some : measured) {
    marks_[{some.version, some.task}].insert(some.marks.begin(), some.marks.end());
  }
}

std::vector<Measurements> MeasurementMarks::list() const {
  std::vector<Measurements> all;
  for (const auto& [place, marks] : marks_) all.push_back({place.first, place.second, {marks.begin(), marks.end()}});
  return all;
}

std::vector<Measurements> measurements_of(const Registry& registry, const std::vector<std::string>& versions) {
  const std::set<std::string> wanted(versions.begin(), versions.end());
  const auto contents = contents_by_task(registry);
  MeasurementMarks marks;
  const auto add = [&](const std::string& version, const std::string& task, const auto& measured) {
    const auto content = contents.find(task);
    if (content == contents.end() || !wanted.contains(version)) return;
    marks.add(version, content->second, mark_of(measured));
  };
  for (const Score& score : registry.scores()) add(score.version, score.task, score);
  for (const RoutingLook& look : registry.routings()) add(look.version, look.task, look.on);
  return marks.list();
}

void decide_measurements(const Registry& registry, const std::vector<Measurements>& offered, Decision& decision) {
  std::set<std::string> tasks;
  for (const auto& [name, content] : contents_by_task(registry)) tasks.insert(content);
  std::vector<std::string> versions;
  for (const Measurements& measured : offered) versions.push_back(measured.version);
  std::map<std::pair<std::string, std::string>, std::map<std::string, std::string>> own;  // values by what was measured
  for (const Measurements& measured : measurements_of(registry, versions)) {
    auto& values = own[{measured.version, measured.task}];
    for (const std::string& mark : measured.marks) values[mark.substr(0, kDigitsOfWhat)] = mark.substr(kDigitsOfWhat);
  }
  MeasurementMarks missing;
  for (const Measurements& measured : offered) {
    if (!tasks.contains(measured.task)) continue;
    const auto& values = own[{measured.version, measured.task}];
    for (const std::string& mark : measured.marks) {
      const auto found = values.find(mark.substr(0, kDigitsOfWhat));
      if (found == values.end()) {
        missing.add(measured.version, measured.task, mark);
      } else {
        decision.different += found->second == mark.substr(kDigitsOfWhat) ? 0 : 1;
      }
    }
  }
  decision.measured = missing.list();
}

}  // namespace mformer
