#include "cli/global_options.h"

#include <limits>
#include <string>

#include "cli/terminal/style.h"
#include "cli/validators.h"

namespace mformer::cli {
namespace {

constexpr int most_threads = 4096;

terminal::TableFormat table_format(const std::string& name) {
  if (name == "csv") return terminal::TableFormat::csv;
  return name == "md" ? terminal::TableFormat::markdown : terminal::TableFormat::latex;
}

terminal::ColourWhen colours(const std::string& when) {
  if (when == "auto") return terminal::ColourWhen::automatic;
  return when == "always" ? terminal::ColourWhen::always : terminal::ColourWhen::never;
}

CLI::Validator thread_count() {
  const CLI::Validator integer = positive_integer();
  return {[integer](std::string& text) -> std::string {
            std::string problem = integer(text);
            if (!problem.empty() || std::stoll(text) <= most_threads) return problem;
            return with_hint("'" + text + "' threads are more than any machine has", "leave it out to use every core");
          },
          "N"};
}

}  // namespace

void add_global_options(CLI::App& root, GlobalOptions& options) {
  // With at most one command, the names of the others stay free as values: `mformer use train`.
  root.require_subcommand(1);
  root.fallthrough();
  const auto add = [&root](const char* name, auto& value, const char* description) {
    return root.add_option(name, value, description)->group("Global options");
  };
  add("--workspace", options.workspace,
      "Directory that holds .mformer; default: the working directory or the nearest one above that has it")
      ->type_name("DIR")
      ->envname("MFORMER_WORKSPACE");
  add("--model", options.model, "Model: name, name@N or version-hash prefix; default: the current model")
      ->type_name("REF");
  root.add_flag("--json", options.json, "Print one JSON object instead of text")->group("Global options");
  root.add_option_function<std::string>(
          "--format", [](const std::string& name) { terminal::show_tables_as(table_format(name)); },
          "Print the tables alone, for other programs: csv, md (Markdown) or tex (LaTeX)")
      ->group("Global options")
      ->excludes("--json")
      ->check(table_format_name());
  add("--seed", options.seed, "Seed of everything random; default: each command's own fixed seed")
      ->check(seed_number());
  add("--threads", options.threads, "Threads for computing, at least 1; default: one per core")->check(thread_count());
  add("--device", options.device, "Where to compute; default: cpu")->check(device_name());
  root.add_option_function<std::string>(
          "--color", [](const std::string& when) { terminal::show_colours(colours(when)); },
          "Colours: auto (on a terminal, the default), always or never")
      ->group("Global options")
      ->check(colour_word());
  root.add_flag("--quiet", options.quiet, "No progress on stderr")->group("Global options");
}

}  // namespace mformer::cli
