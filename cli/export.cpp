#include "core/workflows/export.h"

#include "cli/command.h"
#include "cli/computes.h"
#include "cli/describe.h"
#include "cli/hub_cache.h"
#include "cli/made.h"
#include "cli/terminal/format.h"
#include "cli/terminal/report.h"
#include "cli/terminal/table.h"
#include "cli/train_report.h"
#include "cli/validators.h"
#include "cli/workspace.h"

namespace mformer::cli {
namespace {

using nlohmann::ordered_json;
using terminal::format_fixed;

struct ExportFlags {
  ExportOptions options;
  std::string name;  ///< of --hub-cache: ORG/NAME
  bool no_eval = false;
  bool dry_run = false;
};

/// "int8" or "int4".
std::string short_name(const QuantizationCost& cost) {
  return cost.method.substr(0, 4);
}

std::string what_is_quantised(const QuantizationCost& cost) {
  if (cost.method == "int8") return "the modules are int8 with a scale for each output channel";
  if (cost.method == "int8_groups") return "all matrices but the routers' are int8 with a scale for each group of 32";
  return "all matrices but the routers' are int4 with a scale and a minimum for each group of 32; embedding and head "
         "are "
         "int8";
}

ordered_json cost_json(const QuantizationCost& cost) {
  return {{"method", short_name(cost)},
          {"groups", cost.method != "int8"},
          {"compared_with", cost.dtype},
          {"weight_bytes", {{"before", cost.weight_bytes_before}, {"after", cost.weight_bytes_after}}},
          {"tasks", tasks_json(cost.tasks)}};
}

std::string cost_table(const QuantizationCost& cost, const terminal::Style& style) {
  const auto loss = [](const std::optional<double>& value) { return value ? format_fixed(*value) : "-"; };
  const auto bytes = [](std::int64_t count) { return terminal::format_bytes(static_cast<std::uint64_t>(count)); };
  terminal::Table table({{""}, {cost.dtype}, {short_name(cost)}, {"change"}, {"tokens"}});
  const double ratio = static_cast<double>(cost.weight_bytes_after) / static_cast<double>(cost.weight_bytes_before);
  table.add_row({"weights", bytes(cost.weight_bytes_before), bytes(cost.weight_bytes_after),
                 terminal::format_percent_change(ratio - 1), ""});
  for (const TaskChange& task : cost.tasks) {
    const std::optional<double> change = change_of(task);
    table.add_row({"loss of " + task.task, loss(task.before), loss(task.after),
                   change ? terminal::format_signed(*change) : "-", terminal::format_count(task.tokens)});
  }
  return table.str(style);
}

void report_cost(terminal::Report& report, const QuantizationCost& cost, bool evaluated) {
  report.data()["quantization"] = cost_json(cost);
  report.text() << what_is_quantised(cost) << "\n\n" << cost_table(cost, report.style());
  if (!cost.tasks.empty()) {
    report.text() << "losses on held-out text, in nats per token: less is better; - = the task has no such text\n";
  } else if (evaluated) {
    report.text() << "no loss was measured: that takes a tokenizer and a task whose data can be read\n";
  }
}

/// Who can load it, and what else to write for others.
void report_readers(terminal::Report& report, const ExportReport& result, const ExportFlags& flags) {
  const ExportOptions& options = flags.options;
  if (options.format == "gguf") {
    report.text() << "llama.cpp and the programs around it run it; mformer import reads it again\n";
    return;
  }
  if (result.loadable_by_reference) return;
  if (result.loadable_by_transformers) {
    report.text() << "transformers loads it with the file beside the weights: AutoModelForCausalLM.from_pretrained(\""
                  << (flags.name.empty() ? options.folder : flags.name) << "\", trust_remote_code=True)\n";
    return;
  }
  const bool quantised = result.quantization.has_value();
  const std::string what = result.domains > 0
                               ? std::to_string(result.domains) + (result.domains == 1 ? " domain" : " domains")
                           : quantised ? short_name(*result.quantization) + " weights"
                                       : "layers that differ in their number of modules";
  const bool int4 = quantised && short_name(*result.quantization) == "int4";
  report.text() << what << ": only mformer reads this; for transformers: --for transformers"
                << (int4 ? " with --quantize int8" : "")
                << (result.domains > 0 ? ", or one hypothesis: --domain NAME" : "") << '\n';
}

void report_dry_run(terminal::Report& report, Workspace& workspace, const ExportOptions& options) {
  const VersionRecord version = workspace.version();
  const std::int64_t weights = weights_to_export(workspace.registry(), version, options);
  report.data()["parameters"] = weights;
  report.text() << "would write " << to_string(version) << ", " << terminal::format_count(weights) << " parameters, to "
                << options.folder << '\n';
}

/// Only what quantisation costs is computed.
Session& session_of(Workspace& workspace, const ExportOptions& options) {
  const bool measures = !options.quantize.empty() && options.format.empty();
  return measures ? workspace.computing_session() : workspace.streaming_session();
}

void run_export(ExportFlags flags, const GlobalOptions& global) {
  if (flags.options.into_hub_cache) {
    flags.name = flags.options.folder;
    flags.options.folder = hub_model_folder(flags.name);
  }
  Workspace workspace(global, "export", OpenMode::read_only);
  const VersionRecord version = workspace.version();
  terminal::Report report("export", global.json);
  ordered_json& data = report.data();
  data["dry_run"] = flags.dry_run;
  data["model"] = to_string(version);
  data["model_version"] = version_json(version);
  data["folder"] = flags.options.folder;
  if (flags.dry_run) {
    report_dry_run(report, workspace, flags.options);
    return report.print();
  }
  ExportOptions options = flags.options;
  options.evaluate = !flags.no_eval;
  const ExportReport result =
      workspace.run([&] { return export_model(session_of(workspace, options), version, options); });
  data["bytes"] = result.bytes;
  data["loadable_by_reference"] = result.loadable_by_reference;
  data["loadable_by_transformers"] = result.loadable_by_transformers;
  data["quantization"] = nullptr;
  report.text() << "wrote " << to_string(version) << " to " << result.folder << ", "
                << terminal::format_bytes(static_cast<std::uint64_t>(result.bytes)) << '\n';
  if (!flags.name.empty()) report.text() << "readers of that cache find it as " << flags.name << '\n';
  report_readers(report, result, flags);
  if (result.quantization) report_cost(report, *result.quantization, options.evaluate && result.cut_off.empty());
  data["cut_off"] = result.cut_off.empty() ? ordered_json() : ordered_json(result.cut_off);
  if (!result.cut_off.empty()) {
    report.text() << "the folder is whole, but its losses were not measured: " << result.cut_off << '\n';
  }
  tell("wrote " + to_string(version) + " to " + result.folder, "", [&] { report.print(); });
}

}  // namespace

void setup_export(CLI::App& parent, const GlobalOptions& global) {
  auto flags = std::make_shared<ExportFlags>();
  CLI::App* command = add_command(parent, {"export", groups::model, "Write a checkpoint folder as on the hub",
                                           "mformer export checkpoint/ --dtype bfloat16"});
  ExportOptions& options = flags->options;
  command->add_option("DIR", options.folder, "Folder to write; must not exist, or be empty. Of GGUF the file")
      ->required();
  command
      ->add_option("--dtype", options.dtype,
                   "float32, bfloat16 or float16; default: as the model is stored, with --quantize bfloat16")
      ->type_name("float32|bfloat16|float16");
  CLI::Option* quantize =
      command
          ->add_option("--quantize", options.quantize,
                       "int8 or int4: 8 or 4 bits a weight of all matrices but the routers', the rest in --dtype; says "
                       "what it costs. Of GGUF q8_0, q4_0 or q4_1")
          ->type_name("int8|int4|q8_0|q4_0|q4_1");
  CLI::Option* format =
      command->add_option("--format", options.format, "gguf: one file for llama.cpp instead of a folder")
          ->type_name("gguf");
  command->add_flag("--no-eval", flags->no_eval, "With --quantize: do not measure the loss")
      ->needs(quantize)
      ->excludes(format);
  command->add_option("--max-tokens", options.max_tokens, "With --quantize: held-out tokens per task for the loss")
      ->check(positive_integer())
      ->needs(quantize)
      ->excludes(format);
  command->add_option("--max-shard-size", options.max_shard_bytes, "Bytes a file, beyond which the weights are split")
      ->check(positive_integer())
      ->excludes(format);
  CLI::Option* overwrite =
      command->add_flag("--overwrite", options.overwrite,
                        "Replace the export in the folder; a folder with anything else in it is never replaced");
  command
      ->add_option("--domain", options.domain, "Write one hypothesis alone, a domain or base; default: the whole model")
      ->type_name("NAME");
  command
      ->add_option("--for", options.layout,
                   "transformers: any model, with the Python file that runs it there; default: as its family's are")
      ->type_name("transformers")
      ->excludes(format);
  command
      ->add_flag("--hub-cache", options.into_hub_cache,
                 "DIR is ORG/NAME: a snapshot in the hub's local cache, where transformers finds it by that name")
      ->excludes(format)
      ->excludes(overwrite);
  add_dry_run(*command, flags->dry_run);
  computes(
      *command, [flags] { flags->options.validate(); }, [flags, &global] { run_export(*flags, global); });
}

}  // namespace mformer::cli
