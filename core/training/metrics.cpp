#include "core/training/metrics.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <sstream>

#include "modules_registry/error.h"
#include "modules_registry/files.h"

namespace mformer {

MetricsLog::MetricsLog(const std::filesystem::path& folder, std::int64_t first_step) {
  if (folder.empty()) return;
  path_ = folder / "metrics.jsonl";
  replace_by(lines_up_to(path_, first_step));
}

std::string MetricsLog::lines_up_to(const std::filesystem::path& path, std::int64_t step) {
  if (!std::filesystem::exists(path)) return "";
  std::istringstream lines(read_file(path));
  std::string kept;
  for (std::string line; std::getline(lines, line);) {
    const auto entry = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    const auto number = [&](const char* name) {
      const auto found = entry.find(name);
      return found != entry.end() && found->is_number() ? found->get<double>() : 0.0;
    };
    if (!entry.is_object() || number("step") > static_cast<double>(step)) break;
    kept += line + "\n";
    last_validation_.reset();
    if (entry.contains("validation_loss") && entry["validation_loss"].is_number()) {
      last_validation_ = number("validation_loss");
    }
    kept_losses_.push_back({std::llround(number("step")), number("loss"), std::llround(number("targets"))});
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
  if (!file_.is_open() || kept_losses_.empty() || kept_losses_.back().step != step) return;
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
                                 {"targets", report.targets},
                                 {"balance", report.balance},
                                 {"learning_rate", report.learning_rate},
                                 {"gradient_norm", report.gradient_norm},
                                 {"tokens_per_second", report.tokens_per_second}};
  if (report.validation_loss.has_value()) line["validation_loss"] = *report.validation_loss;
  file_ << line.dump() << '\n' << std::flush;
  if (!file_) throw Error("cannot write metrics.jsonl", "is the disk full?");
}

}  // namespace mformer
