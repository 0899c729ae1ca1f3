#include "cli/loss_curve.h"

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <sstream>

#include "cli/terminal/format.h"
#include "cli/terminal/table.h"

namespace mformer::cli {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

constexpr std::size_t table_rows = 11;  // every tenth of the way, and the start
constexpr std::size_t picture_columns = 60;

/// Indices of at most `count` of `size` points, evenly spread, the first and the last among them.
std::vector<std::size_t> spread(std::size_t size, std::size_t count) {
  std::vector<std::size_t> chosen;
  for (std::size_t i = 0; i < std::min(size, count); ++i) {
    chosen.push_back(size <= count ? i : i * (size - 1) / (count - 1));
  }
  return chosen;
}

constexpr std::uintmax_t kLongestSession = std::uintmax_t{16} << 20U;  // with the arguments of a long command line
constexpr std::uintmax_t kLongestMetrics = std::uintmax_t{1} << 30U;   // of ten million steps
constexpr std::size_t kLongestStep = 4096;                             // a line of metrics is some hundred bytes

/// Nothing of what is no file (a pipe would keep the log waiting), or longer than a program of ours writes it.
std::string bounded_text(const fs::path& file, std::uintmax_t longest) {
  std::error_code none;
  if (!fs::is_regular_file(file, none) || fs::file_size(file, none) > longest) return {};
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

/// Whether the run in the folder may be this operation's.
bool may_be_run_of(const fs::path& folder, const OperationRecord& operation) {
  const nlohmann::json whose = nlohmann::json::parse(bounded_text(folder / "session.json", kLongestSession), nullptr,
                                                     /*allow_exceptions=*/false);
  return whose == nlohmann::json{{"command", operation.command},
                                 {"arguments_json", operation.arguments_json},
                                 {"seed", operation.seed},
                                 {"code_version", operation.code_version}};
}

/// Milliseconds since 1970; 0 where there are no metrics.
std::int64_t last_written_ms(const fs::path& folder) {
  struct stat facts {};
  if (::stat((folder / "metrics.jsonl").c_str(), &facts) != 0) return 0;
  return static_cast<std::int64_t>(facts.st_mtim.tv_sec) * 1000 + facts.st_mtim.tv_nsec / 1'000'000;
}

PastRun read_run(const fs::path& folder) {
  PastRun run{folder.string(), {}};
  std::istringstream lines(bounded_text(folder / "metrics.jsonl", kLongestMetrics));
  for (std::string line; std::getline(lines, line);) {
    if (line.size() > kLongestStep) continue;
    const ordered_json step = ordered_json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!step.is_object() || !step.contains("step") || !step.contains("loss")) continue;  // a line cut off
    if (step["step"].is_number_integer() && step["loss"].is_number()) {
      run.losses.emplace_back(step["step"].get<std::int64_t>(), step["loss"].get<double>());
    }
  }
  return run;
}

/// One block for each column, as high as the loss there.
std::string picture(const std::vector<std::pair<std::int64_t, double>>& losses) {
  static const char* const blocks[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  double low = losses.front().second, high = low;
  for (const auto& [step, loss] : losses) low = std::min(low, loss), high = std::max(high, loss);
  std::string line;
  for (const std::size_t i : spread(losses.size(), picture_columns)) {
    // Halves, as a difference of two finite numbers need not be finite.
    const double range = high / 2 - low / 2;
    const double height = range > 0 ? (losses[i].second / 2 - low / 2) / range : 0.0;
    line += blocks[static_cast<std::size_t>(height * 7.0 + 0.5)];
  }
  return line;
}

}  // namespace

std::optional<PastRun> find_run(const Registry& registry, const OperationRecord& operation) {
  fs::path first;
  std::int64_t first_ms = 0;
  std::error_code gone;
  for (const auto& entry : fs::directory_iterator(registry.folder() / "runs", gone)) {
    const std::int64_t ms = last_written_ms(entry.path());
    const bool earlier = first.empty() || ms < first_ms;
    if (ms < operation.started_ms || !earlier || !may_be_run_of(entry.path(), operation)) continue;
    first = entry.path();
    first_ms = ms;
  }
  return first.empty() ? std::nullopt : std::optional(read_run(first));
}

void report_curve(terminal::Report& report, const std::optional<PastRun>& run) {
  report.data()["run"] = nullptr;
  if (!run) return;
  ordered_json curve = ordered_json::array();
  for (const auto& [step, loss] : run->losses) curve.push_back({{"step", step}, {"loss", loss}});
  report.data()["run"] = {{"folder", run->folder}, {"curve", curve}};
  report.text() << "\nrun        " << run->folder << "/metrics.jsonl\n";
  if (run->losses.empty()) return;
  terminal::Table table({{"step"}, {"loss"}});
  for (const std::size_t i : spread(run->losses.size(), table_rows)) {
    const auto& [step, loss] = run->losses[i];
    table.add_row({std::to_string(step), terminal::format_fixed(loss)});
  }
  report.text() << '\n' << table.str(report.style());
  if (report.style().unicode) report.text() << '\n' << picture(run->losses) << '\n';
}

}  // namespace mformer::cli
