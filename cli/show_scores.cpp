#include "cli/show_scores.h"

#include <algorithm>

#include "cli/describe.h"
#include "cli/operation_report.h"
#include "cli/terminal/format.h"
#include "cli/terminal/table.h"

namespace mformer::cli {

using namespace terminal;
using nlohmann::ordered_json;

void report_scores(Report& report, const Registry& registry, std::vector<Score> scores, ScoresOf of, int limit) {
  std::reverse(scores.begin(), scores.end());
  const std::size_t all = scores.size();
  if (limit > 0) scores.resize(std::min(all, static_cast<std::size_t>(limit)));
  VersionsByHash versions(registry, /*all=*/false);
  auto& rows = report.data()["scores"] = ordered_json::array();
  Table table({{of == ScoresOf::task ? "version" : "task", Align::left},
               {"split", Align::left},
               {"measure", Align::left},
               {"value"},
               {"tokens"},
               {"when (UTC)", Align::left}});
  for (const Score& score : scores) {
    rows.push_back({{"model_version", versions.json(score.version)},
                    {"task", score.task},
                    {"split", score.split},
                    {"metric", score.metric},
                    {"part", score.part < 0 ? ordered_json() : ordered_json(score.part)},
                    {"value", score.value},
                    {"tokens", score.token_count},
                    {"token_limit", score.token_limit < 0 ? ordered_json() : ordered_json(score.token_limit)},
                    {"operation", score.operation_id == 0 ? ordered_json() : ordered_json(score.operation_id)},
                    {"created_ms", score.created_ms}});
    table.add_row({of == ScoresOf::task ? versions.name(score.version) : score.task, score.split,
                   score.part < 0 ? score.metric : score.metric + " " + std::to_string(score.part),
                   format_fixed(score.value), format_count(score.token_count), utc_time(score.created_ms)});
  }
  if (!table.empty()) report.text() << '\n' << table.str(report.style());
  report_older(report, all - scores.size(), "score", "scores");
}

}  // namespace mformer::cli
