#include "cli/help.h"

#include <memory>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cli/terminal/text.h"

namespace mformer::cli {
namespace {

constexpr int total_width = 80;
constexpr std::string_view for_experts = ", for experts";
constexpr int name_width = 24;  // the two spaces before the name not counted

// "  --seed N                Seed of everything random"; a longer name gets a line of its own.
std::string entry(const std::string& name, const std::string& description) {
  const std::string indent(2 + name_width, ' ');
  std::string text = "  " + terminal::pad_right(name, name_width);
  if (terminal::display_width(name) >= name_width) text = "  " + name + '\n' + indent;
  bool first = true;
  for (const std::string& line : terminal::wrap(description, total_width - 2 - name_width)) {
    text += (first ? "" : indent) + line + '\n';
    first = false;
  }
  return text;
}

// The value that the option's variable had when the option was added; what a description says of it comes first.
std::string default_of(const CLI::Option& option) {
  std::string value = option.get_default_str();
  if (value.starts_with('[') && value.ends_with(']')) value = value.substr(1, value.size() - 2);
  const bool says_itself = option.get_description().find("default: ") != std::string::npos;
  return value.empty() || says_itself || option.get_required() ? "" : "; default: " + value;
}

class HelpFormatter : public CLI::Formatter {
 public:
  std::string make_help(const CLI::App* app, std::string name, CLI::AppFormatMode mode) const override {
    const std::string footer = make_footer(app);
    return app->get_description() + '\n' + make_usage(app, std::move(name)) + make_positionals(app) +
           shown_options(*app, mode == CLI::AppFormatMode::All) + make_subcommands(app, CLI::AppFormatMode::Normal) +
           (footer.empty() ? "" : '\n' + footer);
  }

  std::string make_usage(const CLI::App* app, std::string name) const override {
    std::string line = "\nUsage: " + name;
    if (app->get_require_subcommand_min() > 0) return line + " [OPTIONS] COMMAND ...\n";
    for (const CLI::Option* option : app->get_options([](const CLI::Option* o) { return o->get_positional(); })) {
      line += ' ' + make_option_usage(option);
    }
    return line + " [OPTIONS]\n";
  }

  std::string make_option(const CLI::Option* option, bool /*is_positional*/) const override {
    const HelpEntry text = help_entry(*option);
    return entry(text.names + (text.value.empty() ? "" : ' ' + text.value) + (text.many ? "..." : ""),
                 text.description);
  }

  std::string make_subcommand(const CLI::App* command) const override {
    return entry(command->get_name(), command->get_description());
  }

 private:
  static std::vector<const CLI::Option*> options_of(const CLI::App& app, const std::string& group) {
    return app.get_options(
        [&group](const CLI::Option* option) { return option->get_group() == group && option->nonpositional(); });
  }

  std::string shown_options(const CLI::App& app, bool all) const {
    std::string text;
    std::size_t left_out = 0;
    for (const std::string& group : app.get_groups()) {
      std::vector<const CLI::Option*> options = options_of(app, group);
      if (!group.ends_with(for_experts)) {
        std::erase(options, app.get_help_all_ptr());
      } else if (!all) {
        left_out += options.size();
        continue;
      }
      if (!group.empty() && !options.empty()) text += make_group(group, false, options);
    }
    if (left_out > 0) text += "\n" + std::to_string(left_out) + " more options, for experts: --help-all\n";
    return text;
  }
};

}  // namespace

// CLI11 names the C++ type and, after a colon, what the validator says of itself; the validator knows better.
std::string value_name(const CLI::Option& option) {
  const std::string type = option.get_type_name();
  size_t colon = 0;
  for (int brackets = 0; colon < type.size() && (type[colon] != ':' || brackets > 0); ++colon) {
    brackets += type[colon] == '[' ? 1 : type[colon] == ']' ? -1 : 0;  // COMMAND[:TASK] is one name
  }
  if (colon < type.size()) return type.substr(colon + 1);
  if (type == "INT" || type == "UINT") return "N";
  return type == "FLOAT" ? "X" : type;
}

HelpEntry help_entry(const CLI::Option& option) {
  const bool argument = option.get_positional();
  HelpEntry text;
  text.names = option.get_name(argument, !argument);
  // The second name of a flag that says the opposite; the description tells them apart.
  constexpr std::string_view opposite = "{false}";
  if (const auto at = text.names.find(opposite); at != std::string::npos) text.names.erase(at, opposite.size());
  if (!argument && option.get_expected_max() > 0 && option.get_type_size_max() > 0) text.value = value_name(option);
  text.many = option.get_expected_max() >= CLI::detail::expected_max_vector_size;
  text.description = option.get_description() + default_of(option);
  if (option.get_required() && !argument) text.description += " (required)";
  if (!option.get_envname().empty()) text.description += " (or set " + option.get_envname() + ")";
  return text;
}

std::string written(double number) {
  std::ostringstream out;
  out << number;
  return out.str();
}

void use_our_help(CLI::App& root) {
  root.option_defaults()->always_capture_default();
  auto formatter = std::make_shared<HelpFormatter>();
  formatter->label("Positionals", "Arguments");
  root.formatter(std::move(formatter));
  root.set_help_flag("-h,--help", "Show this help");
  root.set_help_all_flag("--help-all", "Show every option");
}

}  // namespace mformer::cli
