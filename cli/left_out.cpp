#include "cli/left_out.h"

namespace mformer::cli {

nlohmann::ordered_json left_out_json(const CorpusSummary& summary) {
  return {{"files", summary.files_left_out()},  {"records", summary.records_left_out()},
          {"hidden", summary.hidden_skipped},   {"binary", summary.binary_skipped},
          {"empty", summary.empty_skipped},     {"unread", summary.unread_skipped},
          {"other", summary.other_skipped},     {"empty_records", summary.empty_records},
          {"bad_records", summary.bad_records}, {"examples", summary.examples}};
}

std::string left_out_lines(const CorpusSummary& summary) {
  const std::string text = left_out_text(summary);
  if (text.empty()) return "";
  std::string lines = "left out: " + text + '\n';
  for (const std::string& example : summary.examples) lines += "  " + example + '\n';
  return lines;
}

}  // namespace mformer::cli
