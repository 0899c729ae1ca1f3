#include "core/workflows/probe.h"

#include "cli/command.h"
#include "cli/commands.h"
#include "cli/computes.h"
#include "cli/output_file.h"
#include "cli/terminal/format.h"
#include "cli/terminal/report.h"
#include "cli/workspace.h"
#include "core/checkpoint/hub_model.h"
#include "core/device/device.h"
#include "core/model/domains.h"
#include "core/workflows/evaluate_tasks.h"

namespace mformer::cli {
namespace {

struct ProbeFlags {
  ProbeOptions options;
  std::string from;
  std::string as_of;
  std::string domain;
};

/// A model and how a reader of the report would name it.
struct NamedModel {
  std::string name;
  Model model;
};

NamedModel load_all(const ProbeFlags& flags, const GlobalOptions& global) {
  if (!flags.from.empty()) {
    apply_device_options(global);
    return {flags.from, load_hub_model(open_hub_folder(flags.from))};
  }
  Workspace workspace(global, "probe", OpenMode::read_only);
  const LoadedVersion version = workspace.load();
  const std::string name = to_string(version.record);
  if (flags.as_of.empty()) return {name, version.model};
  return {name + " as of " + flags.as_of, masked_as_of(workspace.registry(), version, flags.as_of)};
}

NamedModel load(const ProbeFlags& flags, const GlobalOptions& global) {
  NamedModel loaded = load_all(flags, global);
  if (flags.domain.empty()) return loaded;
  return {loaded.name + " as '" + flags.domain + "'", view_of(loaded.model, flags.domain)};
}

bool is_probed(const std::string& path) {
  try {
    return SafetensorsFile::open(path).find("logits") != nullptr;
  } catch (const Error&) {
    return false;
  }
}

void run_probe(const ProbeFlags& flags, const GlobalOptions& global) {
  require_output(flags.options.output, "result of probe", is_probed);
  const NamedModel probed = load(flags, global);
  ProbeOptions options = flags.options;
  options.device = open_device(global.device);
  const ProbeReport result = probe(probed.model, options);
  terminal::Report report("probe", global.json);
  report.data() = {
      {"model", probed.name}, {"output", flags.options.output}, {"batch", result.batch},    {"tokens", result.tokens},
      {"loss", result.loss},  {"aux_loss", result.aux_loss},    {"tensors", result.tensors}};
  report.text() << probed.name << ": " << result.batch << " x " << result.tokens << " tokens, loss "
                << terminal::format_fixed(result.loss) << ", balance loss " << terminal::format_fixed(result.aux_loss)
                << '\n'
                << "wrote " << result.tensors << " tensors to " << flags.options.output << '\n';
  report.print();
}

}  // namespace

void setup_probe(CLI::App& parent, const GlobalOptions& global) {
  auto flags = std::make_shared<ProbeFlags>();
  CLI::App* command = add_command(
      parent, {"probe", groups::inspect, "Write what the model computes on given token ids, to compare with others",
               "mformer probe --input ids.safetensors --out out.safetensors"});
  command
      ->add_option("--input", flags->options.input,
                   "safetensors file with input_ids [batch, tokens] and maybe attention_mask")
      ->required()
      ->type_name("FILE");
  command->add_option("--out", flags->options.output, "safetensors file to write; an earlier result is replaced")
      ->required()
      ->type_name("FILE");
  command->add_flag("--gradients", flags->options.gradients, "Also the gradient of the loss for every parameter");
  command->add_flag("--float64", flags->options.float64, "Compute in float64 instead of the weights' own type");
  CLI::Option* from =
      command->add_option("--from", flags->from, "Checkpoint folder to probe instead of a model; needs no workspace");
  from->type_name("DIR");
  command->add_option("--as-of", flags->as_of, "Mask the modules born after this version")
      ->type_name("REF")
      ->excludes(from);
  command
      ->add_option("--domain", flags->domain,
                   "One domain, or base; default: the posterior over births, if the model has domains")
      ->type_name("NAME");
  computes(*command, [flags, &global] { run_probe(*flags, global); });
}

}  // namespace mformer::cli
