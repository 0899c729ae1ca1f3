#include "core/training/metrics.h"

#include <nlohmann/json.hpp>

#include "modules_registry/error.h"
#include "modules_registry/files.h"

namespace mformer {

MetricsLog::MetricsLog(const std::filesystem::path& folder, std::int64_t first_step) {
  if (folder.empty()) return;
  path_ = folder / "metrics.jsonl";
  replace_by(lines_up_to(path_, first_step));
}

std::string MetricsLog::lines_up_to(const std::filesystem::path& path, std::int64_t step) {
  std::ifstream file(path);
  std::string kept;
  for (std::string line; std::getline(file, line);) {
    const auto entry = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!entry.is_object() || entry.value("step", std::int64_t{0}) > step) break;
    kept += line + "\n";
    last_validation_.reset();
    if (entry.contains("validation_loss")) last_validation_ = entry.value("validation_loss", 0.0);
    kept_losses_.emplace_back(entry.value("step", std::int64_t{0}), entry.value("loss", 0.0));
  }
  return kept;
}

void MetricsLog::replace_by(const std::string& lines) {
  file_.close();
  write_file_atomically(path_, as_bytes(lines));
  file_.open(path_, std::ios::app);
  if (!file_) throw Error("cannot write " + path_.string());
}

void MetricsLog::add_validation(std::int64_t step, double loss) {
  last_validation_ = loss;
  if (!file_.is_open() || kept_losses_.empty() || kept_losses_.back().first != step) return;
  const std::string text = read_file(path_);
  const std::size_t last = text.rfind('\n', text.size() - 2) + 1;  // npos + 1 = 0: the only line
  auto line = nlohmann::ordered_json::parse(text.substr(last));
  line["validation_loss"] = loss;
  replace_by(text.substr(0, last) + line.dump() + "\n");
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
