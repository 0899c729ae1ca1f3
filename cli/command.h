#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "cli/global_options.h"

/// How to write a command. One short file per command, cli/<command>.cpp (cli/inspect_routing.cpp for a nested one):
///
///     namespace mformer::cli {
///     namespace {
///
///     void run_use(const UseOptions& options, const GlobalOptions& global) {
///       RegistryWorkspace workspace(global, "use", OpenMode::read_write);  // 1. open
///       workspace.registry().use(options.model);                 // 2. one call into core or modules_registry
///       terminal::Report report("use", global.json);             // 3. print
///       report.data()["model"] = options.model;
///       report.text() << "using " << options.model << '\n';
///       report.print();
///     }
///
///     }  // namespace
///
///     void setup_use(CLI::App& parent, const GlobalOptions& global) {
///       auto options = std::make_shared<UseOptions>();           // lives as long as the callback
///       CLI::App* command = add_command(parent, {"use", groups::model, "Make a model the current one",
///                                                "mformer use base@3"});
///       command->add_option("MODEL", options->model, "name, name@N or version-hash prefix")->required();
///       command->callback([options, &global] { run_use(*options, global); });
///     }
///
///     }  // namespace mformer::cli
///
/// A command that runs or reads models takes Workspace (workspace.h) and says computes(*command, …) for
/// command->callback(…) (computes.h): LibTorch is loaded only then.
/// Then name the setup in cli/commands.h and the file in cli/CMakeLists.txt. Rules:
/// - The options struct comes from core where there is one (ExtendOptions): flags fill it, so defaults have one home.
/// - Parsing only validates (validators.h); files are opened in run_<command>.
/// - stdout only through terminal::Report, progress only through terminal::Progress; warnings are messages of it.
/// - Throw Error or UsageError with a hint; catch nothing. The top level (errors.h) prints and chooses the exit code.
/// - Long work polls interrupted() and throws Interrupted once its state is safe (interrupt.h).
/// - A command that writes calls add_dry_run(), opens the workspace with mode_of(dry_run), passes arguments_of() (nothing
///   that decides a result can then be forgotten), and prints its report inside tell() (made.h).
/// - The default of an option is the value of its variable when it is added; help shows it, nobody types it.
/// - Descriptions start with a verb and have no full stop; option help says the unit, the range and the default.
namespace mformer::cli {

/// Headings of `mformer --help`, in this order.
namespace groups {
inline constexpr const char* model = "Model";
inline constexpr const char* data = "Data";
inline constexpr const char* learning = "Continual learning";
inline constexpr const char* inspect = "Inspect";
inline constexpr const char* registry = "Registry";
inline constexpr const char* shell = "Shell";
}  // namespace groups

struct CommandText {
  std::string name;         ///< "extend"
  std::string group;        ///< one of `groups`; empty for a nested command
  std::string description;  ///< one line, a verb first
  std::string example;      ///< a command line that works as it stands
};

/// A subcommand of `parent` (the root, or a command such as "inspect") with its example as the help's footer.
/// Owned by `parent`.
CLI::App* add_command(CLI::App& parent, const CommandText& text);

/// A command that only holds others: "tokenizer", "inspect". Asks for exactly one of them.
CLI::App* add_command_group(CLI::App& parent, const CommandText& text);

/// --dry-run: "say what would happen, change nothing".
void add_dry_run(CLI::App& command, bool& dry_run);

}  // namespace mformer::cli
