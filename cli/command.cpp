#include "cli/command.h"

namespace mformer::cli {
namespace {

CLI::App* add(CLI::App& parent, const CommandText& text) {
  CLI::App* command = parent.add_subcommand(text.name, text.description);
  command->group(text.group.empty() ? "Commands" : text.group);  // CLI11 hides what has no group
  return command;
}

}  // namespace

CLI::App* add_command(CLI::App& parent, const CommandText& text) {
  CLI::App* command = add(parent, text);
  command->footer("Example: " + text.example + "\nOptions of every command (--json, --seed, ...): mformer --help");
  return command;
}

CLI::App* add_command_group(CLI::App& parent, const CommandText& text) {
  CLI::App* command = add(parent, text);
  command->require_subcommand(1);
  command->footer("Example: " + text.example);
  return command;
}

void add_dry_run(CLI::App& command, bool& dry_run) {
  command.add_flag("--dry-run", dry_run, "Say what would happen, change nothing");
}

}  // namespace mformer::cli
