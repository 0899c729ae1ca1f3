#include "core/training/metrics.h"

#include <nlohmann/json.hpp>

#include "modules_registry/error.h"
#include "modules_registry/files.h"

namespace mformer {

MetricsLog::MetricsLog(const std::filesystem::path& folder, std::int64_t first_step) {
  if (folder.empty()) return;
  const auto path = folder / "metrics.jsonl";
  write_file_atomically(path, as_bytes(lines_up_to(path, first_step)));
  file_.open(path, std::ios::app);
  if (!file_) throw Error("cannot write " + path.string());
}

std::string MetricsLog::lines_up_to(const std::filesystem::path& path, std::int64_t step) {
  std::ifstream file(path);
  std::string kept;
  for (std::string line; std::getline(file, line);) {
    const auto entry = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!entry.is_object() || entry.value("step", std::int64_t{0}) > step) break;
    kept += line + "\n";
    kept_losses_.emplace_back(entry.value("step", std::int64_t{0}), entry.value("loss", 0.0));
  }
  return kept;
}

void MetricsLog::write(const StepReport& report) {
  if (!file_.is_open()) return;
  nlohmann::ordered_json line = {{"step", report.step},
                                 {"loss", report.loss},
                                 {"balance", report.balance},
                                 {"learning_rate", report.learning_rate},
                                 {"gradient_norm", report.gradient_norm},
                                 {"tokens_per_second", report.tokens_per_second}};
  if (report.validation_loss.has_value()) line["validation_loss"] = *report.validation_loss;
  file_ << line.dump() << '\n' << std::flush;
  if (!file_) throw Error("cannot write metrics.jsonl", "is the disk full?");
}

}  // namespace mformer
