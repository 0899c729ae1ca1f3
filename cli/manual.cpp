#include "cli/manual.h"

#include <algorithm>

#include "cli/help.h"

namespace mformer::cli {
namespace {

using Path = std::vector<const CLI::App*>;  ///< the root and the commands below it

/// Text that man shows as it stands.
std::string roff(const std::string& text) {
  std::string escaped;
  bool begins_line = true;
  for (const char c : text) {
    if (begins_line && (c == '.' || c == '\'')) escaped += "\\&";
    if (c == '\\') {
      escaped += "\\e";
    } else {
      if (c == '-') escaped += '\\';
      escaped += c;
    }
    begins_line = c == '\n';
  }
  return escaped;
}

std::string bold(const std::string& text) {
  return "\\fB" + roff(text) + "\\fR";
}

std::string italic(const std::string& text) {
  return "\\fI" + roff(text) + "\\fR";
}

std::string upper(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::toupper(c); });
  return text;
}

std::string path_name(const Path& path, char separator) {
  std::string name;
  for (const CLI::App* app : path) name += (name.empty() ? "" : std::string(1, separator)) + app->get_name();
  return name;
}

std::string section(const std::string& title) {
  return ".SH " + roff(title) + '\n';
}

std::string item(const std::string& what, const std::string& description) {
  return ".TP\n" + what + '\n' + roff(description) + '\n';
}

std::string option_item(const CLI::Option& option) {
  const HelpEntry text = help_entry(option);
  const std::string names = option.get_positional() ? italic(text.names) : bold(text.names);
  const std::string value = text.value.empty() ? "" : ' ' + italic(text.value);
  return item(names + value + (text.many ? "..." : ""), text.description);
}

std::vector<const CLI::App*> commands_of(const CLI::App& app) {
  return app.get_subcommands([](const CLI::App* command) { return !command->get_group().empty(); });
}

std::string synopsis(const Path& path) {
  std::string line = bold(path_name(path, ' '));
  const CLI::App& app = *path.back();
  if (!commands_of(app).empty()) return section("SYNOPSIS") + line + " [OPTIONS] COMMAND ...\n";
  for (const CLI::Option* option : app.get_options([](const CLI::Option* o) { return o->get_positional(); })) {
    const HelpEntry text = help_entry(*option);
    const std::string name = italic(text.names) + (text.many ? "..." : "");
    line += ' ' + (option->get_required() ? name : '[' + name + ']');
  }
  return section("SYNOPSIS") + line + " [OPTIONS]\n";
}

std::string arguments(const CLI::App& app) {
  std::string text;
  for (const CLI::Option* option : app.get_options([](const CLI::Option* o) { return o->get_positional(); })) {
    text += option_item(*option);
  }
  return text.empty() ? "" : section("ARGUMENTS") + text;
}

std::string options(const CLI::App& app) {
  std::string text;
  for (const std::string& group : app.get_groups()) {
    std::string items;
    for (const CLI::Option* option : app.get_options()) {
      if (option->nonpositional() && option->get_group() == group) items += option_item(*option);
    }
    if (!group.empty() && !items.empty()) text += section(upper(group)) + items;
  }
  return text;
}

std::string commands(const Path& path) {
  std::vector<std::string> groups;
  for (const CLI::App* command : commands_of(*path.back())) {
    if (std::find(groups.begin(), groups.end(), command->get_group()) == groups.end()) {
      groups.push_back(command->get_group());
    }
  }
  std::string text;
  for (const std::string& group : groups) {
    text += section(upper(path.size() == 1 ? "commands: " + group : "commands"));
    for (const CLI::App* command : commands_of(*path.back())) {
      if (command->get_group() != group) continue;
      text += item(bold(path_name(path, '-') + '-' + command->get_name()) + "(1)", command->get_description());
    }
  }
  return text;
}

/// "Example: mformer use base@3\nOptions of every command …": the example alone.
std::string example(const CLI::App& app) {
  const std::string start = "Example: ";
  const std::string footer = app.get_footer();
  if (!footer.starts_with(start)) return "";
  const std::string line = footer.substr(start.size(), footer.find('\n') - start.size());
  return section("EXAMPLE") + ".nf\n" + bold(line) + "\n.fi\n";
}

std::string ending(const Path& path) {
  std::string text;
  if (path.size() == 1) {
    text += section("EXIT STATUS") + item("0", "done") + item("1", "failed: one sentence and a hint on stderr") +
            item("2", "wrong arguments, or a name that is not known") +
            item("130, 143, 129", "stopped by SIGINT, SIGTERM, SIGHUP; what is saved goes on with the same command");
  } else {
    const Path above(path.begin(), path.end() - 1);
    text += section("SEE ALSO") + bold(path_name(above, '-')) + "(1)" +
            (path.size() == 2 ? " about options of every command (\\-\\-json, \\-\\-seed, ...)\n" : "\n");
  }
  return text;
}

void add_pages(std::vector<ManualPage>& pages, const Path& path, const std::string& version) {
  const CLI::App& app = *path.back();
  const std::string name = path_name(path, '-');
  // No date: the same program makes the same page.
  const std::string title = ".TH " + roff(upper(name)) + " 1 \"\" \"mformer " + roff(version) + "\" \"mformer\"\n";
  pages.push_back({name + ".1", manual_mark + title + section("NAME") + roff(name) + " \\- " +
                                    roff(app.get_description()) + '\n' + synopsis(path) + arguments(app) +
                                    options(app) + commands(path) + example(app) + ending(path)});
  for (const CLI::App* command : commands_of(app)) {
    Path below = path;
    below.push_back(command);
    add_pages(pages, below, version);
  }
}

}  // namespace

const char* const manual_mark = ".\\\" Written by mformer man-pages\n";

std::vector<ManualPage> manual_pages(const CLI::App& root, const std::string& version) {
  std::vector<ManualPage> pages;
  add_pages(pages, {&root}, version);
  return pages;
}

}  // namespace mformer::cli
