#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>

#include "core/training/trainer.h"

namespace mformer {

/// `metrics.jsonl` of a run: one JSON object a step. Flushed with every line.
class MetricsLog {
 public:
  /// Keeps the lines of steps up to `first_step` (those after belong to work that was lost) and appends from there.
  /// An empty folder path writes nothing. Throws Error when the file can't be written.
  MetricsLog(const std::filesystem::path& folder, std::int64_t first_step);
  void write(const StepReport& report);

 private:
  std::ofstream file_;
};

}  // namespace mformer
