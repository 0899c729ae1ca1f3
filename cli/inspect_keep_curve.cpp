#include <cmath>
#include <sstream>

#include "cli/command.h"
#include "cli/commands.h"
#include "cli/computes.h"
#include "cli/describe.h"
#include "cli/hypothesis_report.h"
#include "cli/keep_curve_csv.h"
#include "cli/output_file.h"
#include "cli/processes.h"
#include "cli/terminal/format.h"
#include "cli/terminal/report.h"
#include "cli/terminal/table.h"
#include "cli/tune_options.h"
#include "cli/validators.h"
#include "cli/workspace.h"
#include "core/workflows/keep_curve.h"
#include "modules_registry/files.h"

namespace mformer::cli {
namespace {

using namespace terminal;
using nlohmann::ordered_json;

struct KeepCurveFlags {
  KeepCurveCommand command;
  std::vector<std::string> criteria;
  std::string scope = "layer";
  std::string split = "validation";
  std::string csv;
};

Split split_from_string(const std::string& text) {
  if (text == "validation") return Split::validation;
  if (text == "held-out") return Split::held_out;
  throw UsageError("unknown split '" + text + "'", "known splits: validation, held-out");
}

ordered_json point_json(const KeepCurve& curve, const KeepCurvePoint& point) {
  return {{"criterion", to_string(point.criterion)},
          {"keep", point.keep},
          {"att_kept", point.att_kept},
          {"mlp_kept", point.mlp_kept},
          {"losses", point.losses},
          {"mean", point.mean},
          {"spread", point.spread},
          {"change", point.mean - curve.full_loss},
          {"change_percent", 100 * (point.mean / curve.full_loss - 1)}};
}

/// Fractions down, criteria across; of several draws the mean ± their standard deviation.
std::string curve_table(const KeepCurveCommand& command, const KeepCurve& curve, const Style& style) {
  std::vector<Column> columns = {{"keep", Align::right}, {"att", Align::right}, {"mlp", Align::right}};
  for (const Criterion criterion : command.criteria) columns.push_back({to_string(criterion), Align::right});
  Table table(columns);
  const std::size_t fractions = command.fractions.size();
  for (std::size_t f = 0; f < fractions; ++f) {
    const KeepCurvePoint& first = curve.points[f];
    std::vector<std::string> cells = {format_si(first.keep), std::to_string(first.att_kept),
                                      std::to_string(first.mlp_kept)};
    for (std::size_t c = 0; c < command.criteria.size(); ++c) {
      const KeepCurvePoint& point = curve.points[c * fractions + f];
      const double change = point.mean / curve.full_loss - 1;
      cells.push_back(format_fixed(point.mean) + (point.losses.size() > 1 ? " +- " + format_fixed(point.spread) : "") +
                      " (" + format_percent_change(change) + ")");
    }
    table.add_row(cells);
  }
  return table.str(style);
}

void require_csv(const std::string& csv) {
  if (csv.empty()) return;
  require_output(csv, "table of losses",
                 [](const std::string& path) { return has_first_line(path, keep_curve_csv_header); });
}

/// A line for each loss.
void write_csv(const std::string& path, const KeepCurveFlags& flags, const KeepCurve& curve) {
  std::ostringstream out;
  out.precision(17);
  out << keep_curve_csv_header << '\n';
  for (const KeepCurvePoint& point : curve.points) {
    for (std::size_t i = 0; i < point.losses.size(); ++i) {
      out << flags.command.task << ',' << flags.split << ',' << flags.scope << ',' << to_string(point.criterion) << ','
          << point.keep << ',';
      if (point.criterion == Criterion::random) out << curve.seeds[i];
      out << ',' << point.att_kept << ',' << point.mlp_kept << ',' << curve.tokens << ',' << point.losses[i] << '\n';
    }
  }
  write_file_atomically(path, as_bytes(out.str()));
}

void understand(KeepCurveFlags& flags) {
  require_csv(flags.csv);
  KeepCurveCommand& command = flags.command;
  command.scope = scope_from_string(flags.scope);
  command.split = split_from_string(flags.split);
  if (!flags.criteria.empty()) command.criteria.clear();
  for (const std::string& name : flags.criteria) command.criteria.push_back(criterion_from_string(name));
  command.validate();
}

void run_keep_curve(const KeepCurveFlags& flags, const GlobalOptions& global) {
  const KeepCurveCommand& command = flags.command;
  Workspace workspace(global, "inspect keep-curve", mode_for_measuring(global));
  const LoadedVersion version = workspace.load();
  const KeepCurve curve = workspace.run([&] { return keep_curve(workspace.computing_session(), version, command); });
  if (!flags.csv.empty() && !launch().is_follower()) write_csv(flags.csv, flags, curve);
  Report report("inspect keep-curve", global.json);
  ordered_json& data = report.data();
  data["model"] = to_string(version.record);
  data["hash"] = version.record.hash;
  data["model_version"] = version_json(version.record);
  data["task"] = command.task;
  data["split"] = flags.split;
  data["scope"] = flags.scope;
  report_hypothesis(report, curve.hypothesis);
  data["tokens"] = curve.tokens;
  data["full_loss"] = curve.full_loss;
  data["modules"] = {{"att", curve.att_modules}, {"mlp", curve.mlp_modules}};
  data["seeds"] = curve.seeds;
  auto& points = data["points"] = ordered_json::array();
  for (const KeepCurvePoint& point : curve.points) points.push_back(point_json(curve, point));
  report.text() << "loss of " << to_string(version.record) << " on " << command.task << " with a share of its "
                << curve.att_modules << " attention and " << curve.mlp_modules
                << " feed-forward modules, nothing trained\n"
                << "nats per token on " << format_count(curve.tokens) << " tokens of the " << flags.split
                << " split; the whole model: " << format_fixed(curve.full_loss) << "\n\n"
                << curve_table(command, curve, report.style());
  report.print();
}

void add_keep_curve_flags(CLI::App& command, KeepCurveFlags& flags) {
  KeepCurveCommand& options = flags.command;
  command.add_option("--task", options.task, "Known task")->type_name("NAME")->required();
  command.add_option("--fractions", options.fractions, "Shares to keep")->delimiter(',')->check(fraction());
  command.add_option("--criteria", flags.criteria, "Of gate-mass, frequency, reap, norm and random; default: all")
      ->delimiter(',')
      ->type_name("NAME");
  command.add_option("--seeds", options.seeds, "Draws of the random criterion, from --seed on")
      ->check(positive_integer());
  add_domain_flag(command, options.domain);
  command
      .add_option("--scope", flags.scope,
                  "Where the share is kept: in each layer, or of all layers together; default: layer")
      ->type_name("layer|global");
  command
      .add_option("--split", flags.split,
                  "Text that the losses are of: choose on validation, report on held-out; default: validation")
      ->type_name("validation|held-out");
  command.add_option("--stat-tokens", options.stat_tokens, "Training tokens that the criteria look at, 0 = all")
      ->check(non_negative_integer());
  command.add_option("--max-tokens", options.max_tokens, "Tokens that each loss is measured on, 0 = all")
      ->check(non_negative_integer());
  command.add_option("--csv", flags.csv, "Also write every loss as a line of this file")->type_name("FILE");
}

}  // namespace

void setup_inspect_keep_curve(CLI::App& parent, const GlobalOptions& global) {
  auto flags = std::make_shared<KeepCurveFlags>();
  CLI::App* command = add_command(parent, {"keep-curve", "", "Measure a task's loss against the share of modules kept",
                                           "mformer inspect keep-curve --task qa"});
  add_keep_curve_flags(*command, *flags);
  computes(
      *command, [flags] { understand(*flags); }, [flags, &global] { run_keep_curve(*flags, global); });
}

}  // namespace mformer::cli
