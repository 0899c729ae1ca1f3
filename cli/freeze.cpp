#include "core/workflows/freeze.h"

#include "cli/command.h"
#include "cli/computes.h"
#include "cli/describe.h"
#include "cli/made.h"
#include "cli/terminal/report.h"
#include "cli/workspace.h"
#include "core/workspace/selector_syntax.h"

namespace mformer::cli {
namespace {

struct FreezeOptions {
  std::string selector;
  bool dry_run = false;
};

void run_freeze(const FreezeOptions& options, bool frozen, const GlobalOptions& global) {
  const std::string name = frozen ? "freeze" : "unfreeze";
  read_selector(options.selector);  // a typo is told before anything is opened
  Workspace workspace(global, name, mode_of(options.dry_run), {{"selector", options.selector}});
  const VersionRecord version = workspace.version();
  const FreezeReport result =
      set_frozen(workspace.session(), version, workspace.target(), options.selector, frozen, options.dry_run);
  tell(result.version, [&] {
    terminal::Report report(name, global.json);
    report.data()["dry_run"] = options.dry_run;
    report.data()["selected"] = result.selected;
    report.data()["changed"] = result.changed;
    report.data()["model"] = to_string(result.version.value_or(version));
    report.data()["model_version"] = version_json(result.version.value_or(version));
    report.text() << result.selected << " modules selected, " << result.changed
                  << (options.dry_run ? " would be " : " ") << (frozen ? "frozen" : "unfrozen") << '\n';
    if (result.version) report.text() << "made " << to_string(*result.version) << '\n';
    report.print();
  });
}

void setup(CLI::App& parent, const GlobalOptions& global, bool frozen, const CommandText& text) {
  auto options = std::make_shared<FreezeOptions>();
  CLI::App* command = add_command(parent, text);
  command
      ->add_option("SELECTOR", options->selector,
                   "Clauses that must all hold: kind=mlp, layer=0-3, index=4, born=extend:de, domain=german, "
                   "share(qa)>=0.02, or all")
      ->required();
  add_dry_run(*command, options->dry_run);
  computes(*command, [options, frozen, &global] { run_freeze(*options, frozen, global); });
}

}  // namespace

void setup_freeze(CLI::App& parent, const GlobalOptions& global) {
  setup(parent, global, true,
        {"freeze", groups::learning, "Forbid every trainer to change the chosen modules", "mformer freeze layer=0-1"});
}

void setup_unfreeze(CLI::App& parent, const GlobalOptions& global) {
  setup(parent, global, false,
        {"unfreeze", groups::learning, "Let trainers change the chosen modules again",
         "mformer unfreeze born=extend:german"});
}

}  // namespace mformer::cli
