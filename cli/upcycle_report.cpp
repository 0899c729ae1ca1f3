#include "cli/upcycle_report.h"

#include <algorithm>

#include "cli/describe.h"
#include "cli/help.h"
#include "cli/made.h"
#include "cli/memory_report.h"
#include "cli/terminal/format.h"
#include "cli/terminal/table.h"
#include "cli/train_report.h"

namespace mformer::cli {
namespace {

using namespace terminal;
using nlohmann::ordered_json;

constexpr const char* kDense = "dense";

double measured_speed(const UpcycleMeasure& measure) {
  return static_cast<double>(measure.tokens) / std::max(measure.seconds, 1e-9);
}

ordered_json measure_json(const std::optional<UpcycleMeasure>& measure) {
  if (!measure) return nullptr;
  return {{"loss", measure->loss},
          {"tokens", measure->tokens},
          {"seconds", measure->seconds},
          {"tokens_per_second", measured_speed(*measure)}};
}

void fill_upcycle_data(ordered_json& data, const LoadedVersion& base, const UpcycleCommand& command,
                       const UpcycleReport& result) {
  const auto pair = [](auto before, auto after) { return ordered_json{{"before", before}, {"after", after}}; };
  data["dry_run"] = !result.version.has_value();
  data["base"] = to_string(base.record);
  if (result.version) {
    fill_made(data, *result.version, result.kept_beside);
  }
  data["form"] = command.copies() ? "copies" : "slices";
  data["layers"] = result.layers;
  data["modules"] = pair(result.source_modules, result.new_modules);
  data["k"] = command.k;
  data["parameters"] = pair(result.size_before.weights, result.size_after.weights);
  data["active_parameters"] = pair(result.active_before, result.active_after);
  data["memory_bytes"] = pair(result.size_before.bytes, result.size_after.bytes);
  data["logit_difference"] = result.difference;
  data["largest_logit"] = result.largest_logit;
  data["family"] = result.family.empty() ? ordered_json() : ordered_json(result.family);
  data["dense"] = measure_json(result.dense);
  data["exact"] = measure_json(result.exact);
  data["told_apart"] = measure_json(result.apart);
  data["after"] = measure_json(result.after);
  data["tasks"] = tasks_json(result.tasks);
  data["added_bytes"] = result.added_bytes;
  data["training"] = result.training ? to_json(*result.training) : ordered_json();
  data["run_folder"] = result.run_folder.empty() ? ordered_json() : ordered_json(result.run_folder);
  if (result.memory) {
    data["trainable_parameters"] = to_json(result.trainable);
    data["memory"] = to_json(*result.memory);
  }
}

std::string sizes_text(const UpcycleReport& result) {
  const auto row = [](std::int64_t before, std::int64_t after) {
    return format_count(before) + " -> " + format_count(after);
  };
  return "parameters  " + row(result.size_before.weights, result.size_after.weights) + ", of which a token meets " +
         row(result.active_before, result.active_after) + "\n";
}

/// The stages of the command's own task, one a line.
std::string stages_table(const UpcycleReport& result, const Style& style) {
  Table table({{"", Align::left}, {"loss"}, {"change"}, {"tokens a second"}});
  const auto add = [&](const std::string& name, const std::optional<UpcycleMeasure>& measure) {
    if (!measure) return;
    const double change = measure->loss - result.dense->loss;
    table.add_row({name, format_fixed(measure->loss), name == kDense ? "" : format_signed(change),
                   format_count(static_cast<std::int64_t>(measured_speed(*measure)))});
  };
  add(kDense, result.dense);
  add("in modules, exact", result.exact);
  add("told apart", result.apart);
  add(result.training ? "after " + format_count(result.training->tokens) + " tokens" : "as made", result.after);
  return table.str(style);
}

std::string readers_text(const UpcycleReport& result) {
  if (!result.family.empty()) return "export      as " + result.family + ", which other programs load\n";
  return "export      no family that other programs load has such layers beside its attention: --for transformers\n";
}

void upcycle_training_text(std::ostream& text, const UpcycleReport& result) {
  if (!result.training) return;
  text << "trained     " << format_count(result.trainable.total()) << " parameters on "
       << format_count(result.training->tokens) << " tokens at "
       << format_rate(result.training->tokens_per_second, "tokens") << ", loss " << format_fixed(result.training->loss)
       << " on training text at the end\n";
}

}  // namespace

void report_upcycling(Report& report, const LoadedVersion& base, const UpcycleCommand& command,
                      const UpcycleReport& result) {
  fill_upcycle_data(report.data(), base, command, result);
  std::ostream& text = report.text();
  if (result.version) {
    text << "made " << to_string(*result.version) << " from " << to_string(base.record)
         << (result.kept_beside ? ", a model of its own: another command moved the model meanwhile\n\n" : "\n\n");
  } else {
    text << "would upcycle " << to_string(base.record) << "\n\n";
  }
  const UpcyclePlan plan = command.plan();
  text << "layers      " << result.layers << " dense feed-forward layers became " << plan.modules
       << (command.copies() ? " copies each, of which a token takes " : " slices each, of which a token takes ")
       << plan.k << '\n'
       << sizes_text(result) << "logits      of tokens at random differ by " << written(result.difference) << " (the largest is "
       << format_fixed(result.largest_logit) << ") before anything is told apart\n"
       << readers_text(result);
  upcycle_training_text(text, result);
  if (!result.version && result.memory) {
    text << "\nwould then train " << format_count(result.trainable.total()) << " parameters\n";
    report_memory(report, *result.memory);
  }
  if (result.dense) text << '\n' << stages_table(result, report.style());
  if (!result.tasks.empty()) {
    text << '\n'
         << tasks_table(result.tasks, report.style())
         << "losses on held-out text, in nats per token: less is better; - = the task has no such text\n";
  }
}

}  // namespace mformer::cli
