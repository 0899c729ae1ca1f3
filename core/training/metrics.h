#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include "core/training/trainer.h"

namespace mformer {

/// What a line of an earlier process says of its step.
struct KeptLoss {
  std::int64_t step = 0;
  double loss = 0;
  std::int64_t targets = 0;
};

/// `metrics.jsonl` of a run: one JSON object a step. Flushed with every line.
class MetricsLog {
 public:
  /// Keeps the lines of steps up to `first_step` (those after belong to work that was lost) and appends from there.
  /// An empty folder path writes nothing. Throws Error when the file can't be written.
  MetricsLog(const std::filesystem::path& folder, std::int64_t first_step);
  void write(const StepReport& report);

  /// The validation loss in the last line that was kept.
  std::optional<double> last_validation() const { return last_validation_; }
  /// Puts one into that line, if it is `step`'s: for a validation that was cut off and is made up for.
  void add_validation(std::int64_t step, double loss);

  /// Of the lines that were kept.
  const std::vector<KeptLoss>& kept_losses() const { return kept_losses_; }

 private:
  void replace_by(const std::string& lines);
  std::string lines_up_to(const std::filesystem::path& path, std::int64_t step);

  std::vector<KeptLoss> kept_losses_;
  std::optional<double> last_validation_;
  std::filesystem::path path_;
  std::ofstream file_;
};

}  // namespace mformer
