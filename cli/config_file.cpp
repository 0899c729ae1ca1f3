#include "cli/config_file.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>

#include "modules_registry/error.h"
#include "modules_registry/files.h"
#include "modules_registry/registry.h"
#include "modules_registry/suggest.h"

namespace mformer::cli {
namespace {

namespace fs = std::filesystem;

/// What is said for one command line, or would change what a script reads.
constexpr std::string_view not_for_files[] = {"help", "help-all", "version", "workspace", "model",
                                              "json", "format",   "dry-run", "overwrite", "restart"};

bool may_be_set(const std::string& option) {
  return std::count(std::begin(not_for_files), std::end(not_for_files), option) == 0;
}

struct Place {
  fs::path file;
  int line = 0;
};

[[noreturn]] void refuse(const Place& at, const std::string& what, const std::string& hint) {
  throw UsageError(at.file.string() + ", line " + std::to_string(at.line) + ": " + what, hint);
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view blank = " \t\r";
  const std::size_t begin = text.find_first_not_of(blank);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(blank) - begin + 1);
}

/// The command of a key such as "inspect keep-curve.max-tokens"; the root without one.
CLI::App& command_of_key(CLI::App& root, std::string_view names, const Place& at) {
  CLI::App* command = &root;
  while (!names.empty()) {
    const std::string name(names.substr(0, names.find(' ')));
    names = trimmed(names.substr(std::min(name.size(), names.size())));
    const auto found = command->get_subcommands([&name](const CLI::App* one) { return one->get_name() == name; });
    if (found.empty()) refuse(at, "there is no command '" + name + "'", "mformer --help lists them");
    command = found.front();
  }
  return *command;
}

/// An option by its command and its own name.
struct Key {
  std::string_view command;
  std::string option;
};

Key key_of(std::string_view text) {
  const std::size_t dot = text.rfind('.');
  if (dot == std::string_view::npos) return {{}, std::string(text)};
  return {trimmed(text.substr(0, dot)), std::string(trimmed(text.substr(dot + 1)))};
}

CLI::Option& option_of(CLI::App& root, const Key& key, const Place& at) {
  CLI::App& command = command_of_key(root, key.command, at);
  if (!may_be_set(key.option)) {
    refuse(at, "--" + key.option + " can't be set in a file", "give it on the command line");
  }
  CLI::Option* option = command.get_option_no_throw("--" + key.option);
  if (option != nullptr) return *option;
  std::vector<std::string> known;
  for (const CLI::Option* other : command.get_options()) {
    const std::string name = other->get_lnames().empty() ? "" : other->get_lnames().front();
    if (other->nonpositional() && !name.empty() && may_be_set(name)) known.push_back(name);
  }
  const std::string of = key.command.empty() ? "" : std::string(key.command) + '.';
  refuse(at, "there is no option '" + of + key.option + "'",
         suggestion_hint(key.option, known, "options", "an option of one command is COMMAND.OPTION"));
}

void apply_line(CLI::App& root, std::string_view line, const Place& at) {
  const std::size_t equals = line.find('=');
  if (equals == std::string_view::npos) {
    refuse(at, "a line without '='", "write OPTION = VALUE, COMMAND.OPTION = VALUE, or # before a comment");
  }
  const Key key = key_of(trimmed(line.substr(0, equals)));
  CLI::Option& option = option_of(root, key, at);
  const std::string value(trimmed(line.substr(equals + 1)));
  try {
    const bool is_flag = option.get_expected_max() == 0;
    option.default_val(is_flag ? option.get_flag_value(key.option, value) : value);
    option.required(false);
  } catch (const CLI::Error& error) {
    const std::string text = error.what();
    refuse(at, "'" + value + "' is no value of " + option.get_name(), text.substr(0, text.find('\n')));
  }
}

/// A pipe would keep every command waiting, and what is large is no file of defaults.
void require_file_of_defaults(const fs::path& file) {
  constexpr std::uintmax_t most = 1 << 20;
  std::error_code failed;
  if (fs::is_regular_file(file, failed) && fs::file_size(file, failed) <= most) return;
  throw UsageError(file.string() + " is no file of defaults: it must be a file of at most a megabyte",
                   "move it away: every command reads what has this name");
}

void apply_file(CLI::App& root, const fs::path& file) {
  std::error_code ignored;
  if (!fs::exists(file, ignored)) return;
  require_file_of_defaults(file);
  const std::string text = read_file(file);
  Place at{file};
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    ++at.line;
    std::string_view line = trimmed(std::string_view(text).substr(begin, end - begin));
    if (!line.empty() && line.front() != '#') apply_line(root, line, at);
    begin = end + 1;
  }
}

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

fs::path of_user() {
  const std::string folder = environment("XDG_CONFIG_HOME"), home = environment("HOME");
  if (!folder.empty()) return fs::path(folder) / "mformer" / "config";
  return home.empty() ? fs::path() : fs::path(home) / ".config" / "mformer" / "config";
}

/// Its .mformer folder, as the words name it that are not yet parsed; empty without a workspace.
fs::path workspace_of(int argc, const char* const* argv) {
  fs::path named = environment("MFORMER_WORKSPACE");
  constexpr std::string_view option = "--workspace";
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    if (word == option && i + 1 < argc) named = argv[i + 1];
    if (word.starts_with("--workspace=")) named = word.substr(option.size() + 1);
  }
  std::error_code gone;
  const fs::path here = fs::current_path(gone);
  if (named.empty() && !gone) named = Registry::find(here).value_or(fs::path());
  if (named.empty()) return {};
  return named.filename() == ".mformer" ? named : named / ".mformer";
}

}  // namespace

void apply_config_files(CLI::App& root, int argc, const char* const* argv) {
  if (const fs::path user = of_user(); !user.empty()) apply_file(root, user);
  if (const fs::path workspace = workspace_of(argc, argv); !workspace.empty()) apply_file(root, workspace / "config");
}

}  // namespace mformer::cli
