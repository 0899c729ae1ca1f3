#include <memory>
#include <string>

#include "cli/command.h"
#include "cli/commands.h"
#include "cli/module_lineage.h"
#include "cli/operation_report.h"
#include "cli/registry_workspace.h"
#include "cli/show_reports.h"
#include "cli/show_word.h"
#include "cli/terminal/report.h"
#include "cli/terminal/text.h"
#include "cli/validators.h"

namespace mformer::cli {
namespace {

struct ShowOptions {
  std::string word, as;
  int limit = 0;
};

CLI::Validator kind_of_thing() {
  return {[](const std::string& text) -> std::string {
            for (const char* known : {"operation", "version", "module", "task"}) {
              if (text == known) return "";
            }
            return with_hint("there is no kind '" + terminal::printable(text) + "' of things",
                             "it is operation, version, module or task");
          },
          "operation|version|module|task"};
}

void run_show(const ShowOptions& options, const GlobalOptions& global) {
  RegistryWorkspace workspace(global, "show", OpenMode::read_only);
  const Registry& registry = workspace.registry();
  const Shown shown = find_shown(registry, options.word, options.as);
  terminal::Report report("show", global.json);
  report.data()["what"] = to_string(shown.what);
  switch (shown.what) {
    case Shown::What::operation: {
      VersionsByHash versions(registry, /*all=*/false);
      report_operation(report, registry, registry.operation(shown.operation), versions);
      break;
    }
    case Shown::What::version:
      report_version(report, registry, shown.version);
      break;
    case Shown::What::module:
      report_module(report, registry, registry.module(shown.module), options.limit);
      break;
    case Shown::What::task:
      report_task(report, registry, registry.task(shown.task), options.limit);
      break;
  }
  report.print();
}

}  // namespace

void setup_show(CLI::App& parent, const GlobalOptions& global) {
  auto options = std::make_shared<ShowOptions>();
  CLI::App* command =
      add_command(parent, {"show", groups::registry, "Tell everything of an operation, a version, a module or a task",
                           "mformer show base@2"});
  command
      ->add_option("THING", options->word,
                   "Number of an operation; name of a model, tag or task; name@N; first digits of a version's hash or "
                   "of a module's identity")
      ->required();
  command->add_option("--as", options->as, "What it is, where a word can mean more than one thing")
      ->check(kind_of_thing());
  command
      ->add_option("-n,--limit", options->limit,
                   "At most N scores of a task, or sets of weights of a module; default: all")
      ->check(positive_integer());
  command->callback([options, &global] { run_show(*options, global); });
}

}  // namespace mformer::cli
