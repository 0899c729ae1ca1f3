#include "cli/look_before.h"

#include <optional>
#include <string>
#include <vector>

#include "cli/complete.h"
#include "cli/help.h"
#include "cli/registry_workspace.h"
#include "core/workspace/selector_syntax.h"
#include "core/workspace/task_data.h"

namespace mformer::cli {
namespace {

const CLI::App& root_of(const CLI::App& command) {
  const CLI::App* app = &command;
  while (app->get_parent() != nullptr) app = app->get_parent();
  return *app;
}

std::string name_of(const CLI::App& command) {
  const CLI::App* parent = command.get_parent();
  const bool nested = parent != nullptr && parent->get_parent() != nullptr;
  return (nested ? name_of(*parent) + " " : "") + command.get_name();
}

/// What was given, or its default, which a file of defaults may have set; "" for none.
std::string value_of(const CLI::App& app, const std::string& option) {
  const CLI::Option* found = app.get_option_no_throw(option);
  if (found == nullptr) return "";
  const std::string value = found->count() == 0 ? found->get_default_str() : found->results().back();
  return value == "[]" ? "" : value;
}

/// `init` makes a workspace, `doctor` looks at one if there is one, and `probe` may take a folder instead.
bool needs_workspace(const CLI::App& command) {
  const std::string name = name_of(command);
  return name != "init" && name != "doctor" && (name != "probe" || value_of(command, "--from").empty());
}

/// Others take every task where none is named, or need none.
bool needs_task(const std::string& command) {
  return command == "train" || command == "extend" || command == "finetune" || command == "prune";
}

void look_at(const Registry& registry, const CLI::App& command, const CLI::Option& option) {
  const Named what = named_by(option, name_of(command));
  const bool elsewhere = option.get_name(true) == "BRANCH_B" && !value_of(command, "--from").empty();
  const bool may_be_new = !value_of(command, "--data").empty();
  for (const std::string& value : option.results()) {
    if (what == Named::version && !elsewhere) registry.resolve(value);
    if (what == Named::task && !may_be_new && !value.empty()) registry.task(value);
  }
}

}  // namespace

void look_before(const CLI::App& command) {
  for (const CLI::Option* option : command.get_options()) {
    const std::string label = option->get_positional() ? option->get_name(true) : value_name(*option);
    if (label != "SELECTOR") continue;
    for (const std::string& selector : option->results()) {
      if (!selector.empty()) read_selector(selector);
    }
  }
  if (!needs_workspace(command)) return;
  GlobalOptions global;
  global.workspace = value_of(root_of(command), "--workspace");
  const Registry registry = Registry::open(workspace_folder(global), OpenMode::read_only);
  if (name_of(command) != "import") registry.resolve(value_of(root_of(command), "--model"));
  for (const CLI::Option* option : command.get_options()) look_at(registry, command, *option);
  if (needs_task(name_of(command))) name_of_task(value_of(command, "--task"), value_of(command, "--data"));
}

}  // namespace mformer::cli
