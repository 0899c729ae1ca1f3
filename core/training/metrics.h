#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "core/training/trainer.h"

namespace mformer {

/// `metrics.jsonl` of a run: one JSON object a step. Flushed with every line.
class MetricsLog {
 public:
  /// Keeps the lines of steps up to `first_step` (those after belong to work that was lost) and appends from there.
  /// An empty folder path writes nothing. Throws Error when the file can't be written.
  MetricsLog(const std::filesystem::path& folder, std::int64_t first_step);
  void write(const StepReport& report);

  /// (step, loss) of the lines that were kept.
  const std::vector<std::pair<std::int64_t, double>>& kept_losses() const { return kept_losses_; }

 private:
  std::string lines_up_to(const std::filesystem::path& path, std::int64_t step);

  std::vector<std::pair<std::int64_t, double>> kept_losses_;
  std::ofstream file_;
};

}  // namespace mformer
