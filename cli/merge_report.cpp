#include "cli/merge_report.h"

#include <algorithm>

#include "cli/describe.h"
#include "cli/made.h"
#include "cli/terminal/format.h"
#include "cli/terminal/table.h"
#include "cli/train_report.h"

namespace mformer::cli {
namespace {

using namespace terminal;
using nlohmann::ordered_json;

std::string text_of(const std::optional<double>& value) {
  return value ? format_fixed(*value) : "-";
}

/// Merged less the better of the two branches.
std::optional<double> change_from_best(const MergedTask& task) {
  if (!task.a || !task.b || !task.merged) return std::nullopt;
  return *task.merged - std::min(*task.a, *task.b);
}

void report_losses(Report& report, const VersionRecord& a, const VersionRecord& b, const MergeReport& result) {
  auto& rows = report.data()["tasks"] = ordered_json::array();
  Table table({{"task", Align::left},
               {to_string(result.ancestor), Align::right},
               {to_string(a), Align::right},
               {to_string(b), Align::right},
               {"merged", Align::right},
               {"over the better", Align::right},
               {"tokens"}});
  for (const MergedTask& task : result.tasks) {
    const auto change = change_from_best(task);
    rows.push_back({{"task", task.task},
                    {"ancestor", number_or_null(task.ancestor)},
                    {"a", number_or_null(task.a)},
                    {"b", number_or_null(task.b)},
                    {"merged", number_or_null(task.merged)},
                    {"over_the_better", number_or_null(change)},
                    {"tokens", task.tokens}});
    table.add_row({task.task, text_of(task.ancestor), text_of(task.a), text_of(task.b), text_of(task.merged),
                   change ? format_signed(*change) : "-", format_count(task.tokens)});
  }
  if (!result.version) return;
  report.text() << '\n'
                << table.str(report.style())
                << "losses on held-out text, in nats per token: less is better; - = the task has no such text\n";
}

void report_review(Report& report, const MergeReport& result) {
  report.data()["trainable_parameters"] = to_json(result.trainable);
  report.data()["review"] = nullptr;
  report.data()["run_folder"] = result.run_folder.empty() ? ordered_json() : ordered_json(result.run_folder);
  if (result.trainable.total() > 0 && !result.version)
    report.text() << "would train " << format_count(result.trainable.total()) << " parameters of router rows\n";
  if (!result.review) return;
  report.data()["review"] = {{"first_step", result.review->first_step},
                             {"loss", result.review->loss},
                             {"tokens", result.review->tokens},
                             {"seconds", result.review->seconds},
                             {"tokens_per_second", result.review->tokens_per_second}};
  report.text() << "\nreviewed  " << format_count(result.trainable.total()) << " parameters of router rows, "
                << format_duration(result.review->seconds) << "\nmetrics   " << result.run_folder << "/metrics.jsonl\n";
}

}  // namespace

void report_merge(Report& report, const VersionRecord& a, const VersionRecord& b, const MergeReport& result) {
  ordered_json& data = report.data();
  data["dry_run"] = !result.version.has_value();
  if (result.version) {
    fill_made(data, *result.version, result.kept_beside);
  }
  data["ancestor"] = version_json(result.ancestor);
  data["a"] = version_json(a);
  data["b"] = version_json(b);
  data["added_by_a"] = {{"att", result.from_a_att}, {"mlp", result.from_a_mlp}};
  data["added_by_b"] = {{"att", result.from_b_att}, {"mlp", result.from_b_mlp}};
  data["domains"] = result.domains;
  data["frozen"] = result.frozen;
  data["parameters"] = {{"before", result.size_before.weights}, {"after", result.size_after.weights}};
  data["added_bytes"] = result.added_bytes;
  report.text() << (result.version ? "made " + to_string(*result.version) : std::string("would make a version"))
                << " from " << to_string(a) << " and " << to_string(b) << ", which part at "
                << to_string(result.ancestor) << "\n\n"
                << to_string(a) << " added " << result.from_a_att << " attention and " << result.from_a_mlp
                << " feed-forward modules, " << to_string(b) << ' ' << result.from_b_att << " and " << result.from_b_mlp
                << ": " << format_count(result.size_before.weights) << " parameters become "
                << format_count(result.size_after.weights) << '\n';
  if (!result.domains.empty()) {
    report.text() << "domains:";
    for (const std::string& name : result.domains) report.text() << ' ' << name;
    report.text() << '\n';
  }
  if (result.frozen > 0) report.text() << "frozen: " << result.frozen << " modules, as the branches say\n";
  report_losses(report, a, b, result);
  report_review(report, result);
}

}  // namespace mformer::cli
