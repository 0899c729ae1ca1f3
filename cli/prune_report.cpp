#include "cli/prune_report.h"

#include <array>
#include <cmath>
#include <utility>

#include "cli/describe.h"
#include "cli/made.h"
#include "cli/memory_report.h"
#include "cli/terminal/format.h"
#include "cli/terminal/table.h"
#include "cli/train_report.h"

namespace mformer::cli {
namespace {

using namespace terminal;
using nlohmann::ordered_json;

constexpr Kind kinds[] = {Kind::att, Kind::mlp};

/// "old -> new" of every kept module, as data.
ordered_json map_json(const LoadedVersion& base, const ModuleSelection& kept) {
  ordered_json rows = ordered_json::array();
  for (const Kind kind : kinds) {
    for (std::size_t layer = 0; layer < kept.of(kind).size(); ++layer) {
      const auto& positions = kept.of(kind)[layer];
      for (std::size_t place = 0; place < positions.size(); ++place) {
        const Module& module = base.model.blocks[layer].bank(kind).modules[positions[place]];
        rows.push_back({{"layer", layer},
                        {"kind", to_string(kind)},
                        {"old", positions[place]},
                        {"new", place},
                        {"uid", module.uid}});
      }
    }
  }
  return rows;
}

ordered_json kept_json(const LoadedVersion& base, const ModuleSelection& kept) {
  ordered_json rows = ordered_json::array();
  for (std::size_t layer = 0; layer < base.model.blocks.size(); ++layer) {
    ordered_json row = {{"layer", layer}};
    for (const Kind kind : kinds) {
      row[std::string(to_string(kind))] = {{"before", base.model.blocks[layer].bank(kind).modules.size()},
                                           {"after", kept.of(kind)[layer].size()}};
    }
    rows.push_back(row);
  }
  return rows;
}

/// "0" or, of several, "0-29".
std::string layers_text(std::size_t first, std::size_t last) {
  return std::to_string(first) + (first == last ? "" : "-" + std::to_string(last));
}

/// Neighbouring layers that keep as many share a row.
std::string kept_table(const LoadedVersion& base, const ModuleSelection& kept, const Style& style) {
  using Counts = std::array<std::size_t, 2>;
  const auto of = [](const Counts& some, const Counts& all, Kind kind) {
    const auto k = static_cast<std::size_t>(kind);
    return std::to_string(some[k]) + " of " + std::to_string(all[k]);
  };
  const std::size_t layers = base.model.blocks.size();
  std::vector<std::pair<Counts, Counts>> counts(layers);  // kept, before
  Counts after{}, before{};
  for (std::size_t layer = 0; layer < layers; ++layer) {
    for (const Kind kind : kinds) {
      const auto k = static_cast<std::size_t>(kind);
      after[k] += counts[layer].first[k] = kept.of(kind)[layer].size();
      before[k] += counts[layer].second[k] = base.model.blocks[layer].bank(kind).modules.size();
    }
  }
  Table table({{"layer", Align::left}, {"att kept", Align::right}, {"mlp kept", Align::right}});
  for (std::size_t first = 0, last = 0; first < layers; first = last + 1) {
    for (last = first; last + 1 < layers && counts[last + 1] == counts[first];) ++last;
    const auto& [some, all] = counts[first];
    table.add_row({layers_text(first, last), of(some, all, Kind::att), of(some, all, Kind::mlp)});
  }
  table.add_rule();
  table.add_row({"all", of(after, before, Kind::att), of(after, before, Kind::mlp)});
  return table.str(style);
}

std::string map_table(const LoadedVersion& base, const ModuleSelection& kept, const Style& style) {
  Table table({{"layer"}, {"kind"}, {"old"}, {"new"}, {"uid", Align::left}});
  for (const ordered_json& row : map_json(base, kept)) {
    table.add_row({row["layer"].dump(), row["kind"], row["old"].dump(), row["new"].dump(), row["uid"]});
  }
  return table.str(style);
}

/// Relative change, "n/a" where there is nothing to compare with.
std::string change_text(double before, double after) {
  if (before <= 0) return "n/a";
  return format_percent_change(after / before - 1);
}

void size_rows(Table& table, const PruneReport& result) {
  const auto bytes = [](std::int64_t n) { return format_bytes(static_cast<std::uint64_t>(n)); };
  const auto row = [&](const std::string& name, std::int64_t before, std::int64_t after, const auto& format) {
    table.add_row(
        {name, format(before), format(after), change_text(static_cast<double>(before), static_cast<double>(after))});
  };
  row("parameters", result.size_before.weights, result.size_after.weights, format_count);
  row("memory", result.size_before.bytes, result.size_after.bytes, bytes);
  row("disk", result.stored_before, result.stored_after, bytes);
}

void loss_rows(Table& table, const PruneReport& result) {
  for (const TaskChange& task : result.tasks) {
    const auto text = [](const std::optional<double>& value) { return value ? format_fixed(*value) : "-"; };
    std::string change = "-";
    if (task.before && task.after) {
      change = format_signed(*task.after - *task.before) + " (" + change_text(*task.before, *task.after) + ")";
    }
    table.add_row({"loss of " + task.task, text(task.before), text(task.after), change});
  }
}

ordered_json pruned_tasks_json(const PruneReport& result) {
  ordered_json rows = ordered_json::array();
  for (const TaskChange& task : result.tasks) {
    ordered_json row = {{"task", task.task},
                        {"before", number_or_null(task.before)},
                        {"after", number_or_null(task.after)},
                        {"change", nullptr},
                        {"change_percent", nullptr},
                        {"tokens", task.tokens}};
    if (task.before && task.after) {
      row["change"] = *task.after - *task.before;
      row["change_percent"] = 100 * (*task.after / *task.before - 1);
    }
    rows.push_back(row);
  }
  return rows;
}

void fill_data(ordered_json& data, const LoadedVersion& base, const PruneReport& result) {
  const auto pair = [](auto before, auto after) { return ordered_json{{"before", before}, {"after", after}}; };
  data["dry_run"] = !result.version.has_value();
  data["base"] = to_string(base.record);
  if (result.version) {
    fill_made(data, *result.version, result.kept_beside);
  }
  data["parameters"] = pair(result.size_before.weights, result.size_after.weights);
  data["memory_bytes"] = pair(result.size_before.bytes, result.size_after.bytes);
  data["disk_bytes"] = pair(result.stored_before, result.stored_after);
  data["evaluation_seconds"] = pair(result.seconds_before, result.seconds_after);
  data["tasks"] = pruned_tasks_json(result);
  data["run_folder"] = result.run_folder.empty() ? ordered_json() : ordered_json(result.run_folder);
  if (result.training) data["training"] = to_json(*result.training);
  if (result.memory) {
    data["trainable_parameters"] = to_json(result.trainable);
    data["memory"] = to_json(*result.memory);
  }
}

}  // namespace

void report_kept(Report& report, const LoadedVersion& base, const ModuleSelection& kept) {
  report.data()["kept"] = kept_json(base, kept);
  report.data()["map"] = map_json(base, kept);
  report.text() << kept_table(base, kept, report.style());
}

void report_pruning(Report& report, const LoadedVersion& base, const PruneReport& result, bool show_map) {
  fill_data(report.data(), base, result);
  if (result.version) {
    report.text() << "made " << to_string(*result.version) << " from " << to_string(base.record)
                  << (result.kept_beside ? ", a model of its own: another command moved the model meanwhile\n\n"
                                         : "\n\n");
  } else {
    report.text() << "would prune " << to_string(base.record) << "; before any training:\n\n";
  }
  Table table({{""}, {"before", Align::right}, {"after", Align::right}, {"change", Align::right}});
  size_rows(table, result);
  loss_rows(table, result);
  table.add_row({"evaluation", format_duration(result.seconds_before), format_duration(result.seconds_after),
                 change_text(result.seconds_before, result.seconds_after)});
  report_kept(report, base, result.kept);
  report.text() << '\n' << table.str(report.style());
  report.text() << "losses on held-out text, in nats per token: less is better\n";
  if (!result.version && result.memory) {
    report.text() << "\nwould then train " << format_count(result.trainable.total()) << " parameters\n";
    report_memory(report, *result.memory);
  }
  if (result.training) {
    report.text() << "trained " << format_count(result.trainable.total()) << " parameters, loss "
                  << format_fixed(result.training->loss) << " on training text at the end"
                  << (result.training->validation_loss
                          ? ", " + format_fixed(*result.training->validation_loss) + " on validation text\n"
                          : "\n");
  }
  if (show_map) report.text() << '\n' << map_table(base, result.kept, report.style());
}

}  // namespace mformer::cli
