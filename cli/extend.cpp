#include "core/workflows/extend.h"

#include <algorithm>
#include <map>

#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/computes.h"
#include "cli/describe.h"
#include "cli/help.h"
#include "cli/made.h"
#include "cli/terminal/format.h"
#include "cli/terminal/table.h"
#include "cli/train_options.h"
#include "cli/train_report.h"
#include "cli/validators.h"
#include "cli/workspace.h"
#include "core/workspace/parse_range.h"
#include "modules_registry/error.h"
#include "modules_registry/printable.h"

namespace mformer::cli {
namespace {

struct ExtendFlags {
  ExtendCommand command;
  std::string start = "copy";
  std::string experts = "auto", heads = "auto";  ///< Or a number.
  std::string store;                             ///< "int8", or empty: as it is trained.
};

/// Throws UsageError.
bool is_in_eight_bits(const std::string& store) {
  if (store.empty() || store == "int8") return !store.empty();
  throw UsageError("--store knows int8, not '" + mformer::printable(store) + "'", "leave it out: as it is trained");
}

/// A number of modules per layer; nothing = "auto", as many as the budget allows.
std::optional<std::int64_t> number_of_modules(const std::string& text) {
  if (text == "auto") return std::nullopt;
  return std::stoll(text);
}

nlohmann::ordered_json leak_json(const std::vector<TaskLeak>& leak) {
  nlohmann::ordered_json tasks = nlohmann::ordered_json::array();
  for (const TaskLeak& task : leak) {
    nlohmann::ordered_json rows = nlohmann::ordered_json::array();
    for (const LeakRow& row : task.rows) {
      rows.push_back({{"layer", row.layer}, {"kind", to_string(row.kind)}, {"share", row.share}});
    }
    tasks.push_back({{"task", task.task}, {"mean", task.mean}, {"rows", rows}});
  }
  return tasks;
}

/// Layers down, tasks and kinds across.
std::string leak_table(const std::vector<TaskLeak>& leak, const terminal::Style& style) {
  std::vector<terminal::Column> columns = {{"layer"}};
  std::map<int, std::vector<std::string>> rows;
  for (const TaskLeak& task : leak) {
    for (const Kind kind : {Kind::att, Kind::mlp}) columns.push_back({task.task + ' ' + std::string(to_string(kind))});
    for (const LeakRow& row : task.rows) {
      rows.try_emplace(row.layer, std::vector<std::string>{std::to_string(row.layer)});
      rows[row.layer].push_back(terminal::format_percent(row.share));
    }
  }
  terminal::Table table(columns);
  for (auto& [layer, cells] : rows) {
    cells.resize(columns.size(), "-");
    table.add_row(cells);
  }
  return table.str(style);
}

/// Whether the new task has held-out text: then it is the one measured task without a leak.
bool new_task_is_measured(const ExtendReport& result) {
  const auto measured =
      std::count_if(result.tasks.begin(), result.tasks.end(), [](const TaskChange& task) { return task.after; });
  return measured > static_cast<std::ptrdiff_t>(result.leak.size());
}

void report_budget(terminal::Report& report, const ExtendReport& result) {
  report.data()["budget"] = nullptr;
  if (!result.budget) return;
  const BudgetUse& use = *result.budget;
  report.data()["budget"] = {{"allowed", use.allowed},
                             {"added", use.added},
                             {"private_parts", use.private_parts},
                             {"exceeded", use.exceeded()}};
  if (!use.exceeded()) return;
  report.text() << "budget    exceeded: " << terminal::format_percent(use.added) << " of the parameters, where "
                << terminal::format_percent(use.allowed) << " is the default: ";
  if (use.private_parts > 0) {
    report.text() << "what a domain has for itself is " << terminal::format_percent(use.private_parts) << ", ";
  }
  report.text() << "and a module is the least that is added\n";
}

/// What the base was made of and what of it is there still, by the hashes of the objects.
void report_difference(terminal::Report& report, const ExtendReport& result) {
  report.data()["old"] = nullptr;
  report.data()["private_parts"] = nullptr;
  if (!result.difference) return;
  const VersionDiff& difference = *result.difference;
  const ModuleCounts counts = count_changes(difference);
  const bool unchanged = difference.nothing_old_changed();
  report.data()["old"] = {
      {"unchanged", unchanged},
      {"trunk", {{"same", difference.same_trunk}, {"changed", difference.trunk}}},
      {"modules", {{"same", difference.same_modules}, {"retrained", counts.retrained}, {"removed", counts.removed}}},
      {"routers_changed", difference.old_routers}};
  report.data()["private_parts"] = private_parts_json(difference.domains);
  std::ostream& text = report.text();
  if (unchanged) {
    text << "old       nothing changed: trunk and " << difference.same_modules << " modules are the same objects";
  } else {
    text << "old       changed: " << difference.trunk.size() << " of "
         << difference.trunk.size() + static_cast<std::size_t>(difference.same_trunk) << " trunk parts, "
         << difference.old_routers.size() << " routers, " << counts.retrained + counts.removed << " modules; "
         << difference.same_modules << " modules are the same objects";
  }
  const std::string kept_private = private_parts_text(difference.domains);
  text << (kept_private.empty() ? "" : "; " + kept_private) << '\n';
}

void report_gain(terminal::Report& report, const ExtendReport& result) {
  report.data()["gain"] = nullptr;
  if (!result.gain) return;
  const GainByPart& gain = *result.gain;
  report.data()["gain"] = {{"before", gain.before},
                           {"without_new_modules", gain.without_modules},
                           {"after", gain.after},
                           {"by_modules", gain.of_modules()},
                           {"by_the_rest", gain.of_the_rest()}};
  const char* rest = result.domain.empty() ? "what else was trained" : "private parts";
  report.text() << "gain      " << terminal::format_fixed(gain.before - gain.after)
                << " nats per token of the new task: " << terminal::format_fixed(gain.of_the_rest()) << " by " << rest
                << " (measured without the new modules), " << terminal::format_fixed(gain.of_modules())
                << " by the modules\n";
}

void report_extension(terminal::Report& report, const ExtendReport& result) {
  report.data()["new_modules"] = {{"att", result.new_att}, {"mlp", result.new_mlp}};
  report.data()["parameters"] = {{"before", result.size_before.weights}, {"after", result.size_after.weights}};
  report.data()["domain"] =
      result.domain.empty() ? nlohmann::ordered_json(nullptr) : nlohmann::ordered_json(result.domain);
  report.text() << (result.version ? "added     " : "would add ") << result.new_att << " attention and "
                << result.new_mlp << " feed-forward modules: " << terminal::format_count(result.size_before.weights)
                << " parameters become " << terminal::format_count(result.size_after.weights) << '\n';
  report_budget(report, result);
  if (!result.version) return;
  report_difference(report, result);
  if (!result.domain.empty()) {
    report.text() << "domain    '" << result.domain << "': the posterior decides which text it reads; --domain "
                  << result.domain << " forces it, --domain base the model as it was\n";
  }
  report_gain(report, result);
  const bool measured = new_task_is_measured(result);
  report.data()["use"] = measured ? nlohmann::ordered_json(result.use) : nlohmann::ordered_json(nullptr);
  report.data()["leak"] = leak_json(result.leak);
  if (measured) {
    report.text() << "use       " << terminal::format_percent(result.use)
                  << " of the new task's routing slots go to new modules\n";
  }
  for (const TaskLeak& task : result.leak) {
    report.text() << "leak      " << terminal::format_percent(task.mean) << " of the slots of '" << task.task
                  << "' go to new modules\n";
  }
  // Of a domain whole windows are read, in every layer alike.
  if (!result.leak.empty() && result.domain.empty()) {
    report.text() << "\nrouter leak by layer and kind\n" << leak_table(result.leak, report.style());
  }
}

void understand(ExtendFlags& flags) {
  ExtendCommand& command = flags.command;
  command.start = new_modules_from_string(flags.start);
  command.experts = number_of_modules(flags.experts);
  command.heads = number_of_modules(flags.heads);
  command.eight_bits = is_in_eight_bits(flags.store);
  command.validate();
}

void run_extend(ExtendFlags flags, const nlohmann::ordered_json& arguments, const GlobalOptions& global) {
  const ExtendCommand& command = flags.command;
  set_seed(flags.command.options, global);
  Workspace workspace(global, "extend", mode_of(command.dry_run), arguments);
  const LoadedVersion base = workspace.load();
  parse_range(flags.command.layers, base.model.config.n_layer, "--layers");  // before the data becomes a task
  const ExtendReport result = workspace.run([&] { return extend(workspace.computing_session(), base, flags.command); });
  tell(result.version, [&] {
    terminal::Report report("extend", global.json);
    report_training(report, result, result.size_after.bytes);
    report_extension(report, result);
    report_cut_off(report, result.version, result.cut_off, global);
    report.print();
  });
}

void add_extend_flags(CLI::App& command, ExtendFlags& flags) {
  ExtendCommand& options = flags.command;
  const auto add = [&command](const char* name, auto& value, const std::string& text) {
    return command.add_option(name, value, text)->group("New modules");
  };
  const auto add_single_mask = [&command](const char* name, auto& value, const std::string& text) {
    return command.add_option(name, value, text)->group(option_groups::single_mask_experts);
  };
  command
      .add_flag("--single-mask", options.single_mask,
                "New modules join the old ones for all text: one path, but old text leaks into them")
      ->group("New modules");
  const CLI::Validator number_or_auto = non_negative_integer_or("auto");
  add("--experts", flags.experts, "New feed-forward modules in each layer; auto: as many as --budget allows")
      ->check(number_or_auto);
  add("--heads", flags.heads, "New attention modules in each layer")->check(number_or_auto);
  add("--budget", options.budget,
      "Largest share of parameters that auto adds, private ones included; default: as much as " +
          written(ExtendCommand::kBudget) + ", or one module")
      ->check(positive_number());
  add("--layers", options.layers, "Layers that get them, 2 or 0-3; default: all")->type_name("A-B");
  command
      .add_flag("--equal", options.equal,
                "As many new modules of a kind in every layer, as readers of other families' checkpoints need")
      ->group("New modules");
  add("--start", flags.start,
      "copy: of the modules that the new data uses most (a domain has them in their place); random; unchanged: they "
      "add "
      "nothing at first")
      ->type_name("copy|random|unchanged");
  add("--store", flags.store, "int8: what the domain has for itself is rounded to 8 bits a weight, and stored in these")
      ->type_name("int8");
  add_single_mask("--rehearse", options.rehearse,
                  "Texts written by the model itself that each new sequence is learned with; default: 1, with an "
                  "earlier task")
      ->check(non_negative_number());
  add_single_mask("--rehearse-weight", options.rehearse_weight, "Weight of what is rehearsed against the new text")
      ->check(positive_number());
  add_single_mask("--replay", options.replay,
                  "Share of training sequences from the memory of earlier tasks, below 1; default: 0, without "
                  "rehearsal " +
                      written(ExtendCommand::kReplay))
      ->check(share());
  add_single_mask("--memory", options.memory, "Share of each earlier task's training text that is ever looked at")
      ->check(fraction());
  add_single_mask("--separation", options.separation, "Weight of the loss that holds old text and new modules apart")
      ->check(non_negative_number());
  add_single_mask("--token-rows", options.token_rows,
                  "Train embedding and head rows of tokens rarer than this in earlier tasks")
      ->check(non_negative_integer());
  add_single_mask("--penalty", options.penalty,
                  "Weight of the router mass on new modules in the loss (of replayed text where there is any)")
      ->check(non_negative_number());
  add_single_mask("--review-steps", options.review_steps,
                  "Last steps that train only the new router rows on memory and new text; default: a tenth of --steps")
      ->check(non_negative_integer());
}

}  // namespace

void setup_extend(CLI::App& parent, const GlobalOptions& global) {
  auto flags = std::make_shared<ExtendFlags>();
  flags->command.options.steps = 200;           // a domain for a few new modules, not a language for all
  flags->command.options.learning_rate = 2e-3;  // copies of trained modules bear more than fresh ones
  CLI::App* command =
      add_command(parent, {"extend", groups::learning, "Add modules for new data; everything old stays as it is",
                           "mformer extend --data newdomain/"});
  add_extend_flags(*command, *flags);
  add_train_flags(*command, flags->command);
  computes(
      *command, [flags] { understand(*flags); },
      [flags, command, &global] { run_extend(*flags, arguments_of(*command), global); });
}

}  // namespace mformer::cli
