#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/transfer/transfer.h"

namespace mformer {

// Which measurements of versions that both ends have are missing at one of them.

/// As Measurements::marks has it.
std::string mark_of(const Score& score);
std::string mark_of(const Measured& routing);

/// Marks, each once, by version and content of the task's data.
class MeasurementMarks {
 public:
  MeasurementMarks() = default;
  explicit MeasurementMarks(const std::vector<Measurements>& measured);
  void add(const std::string& version, const std::string& task, std::string mark) {
    marks_[{version, task}].insert(std::move(mark));
  }
  bool has(const std::string& version, const std::string& task, const std::string& mark) const {
    const auto found = marks_.find({version, task});
    return found != marks_.end() && found->second.contains(mark);
  }
  /// In the order of versions and contents.
  std::vector<Measurements> list() const;

 private:
  std::map<std::pair<std::string, std::string>, std::set<std::string>> marks_;
};

/// Of these versions, on tasks that are not removed.
std::vector<Measurements> measurements_of(const Registry& registry, const std::vector<std::string>& versions);
/// Of the offered ones those that are missing here, on data that is here; into a decision.
void decide_measurements(const Registry& registry, const std::vector<Measurements>& offered, Decision& decision);

}  // namespace mformer
