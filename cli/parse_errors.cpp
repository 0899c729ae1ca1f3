#include "cli/parse_errors.h"

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

#include "cli/brackets.h"
#include "cli/terminal/text.h"
#include "modules_registry/suggest.h"

namespace mformer::cli {
namespace {

/// An argument as it was given: what marks its brackets is gone, and a terminal shows it without obeying it.
std::string shown_argument(std::string argument) {
  return terminal::printable(without_marks(std::move(argument)));
}

// The root, then the command and nested command that were recognised.
std::vector<const CLI::App*> chosen_apps(const CLI::App& root) {
  std::vector<const CLI::App*> apps = {&root};
  while (!apps.back()->get_subcommands().empty()) apps.push_back(apps.back()->get_subcommands().front());
  return apps;
}

std::string full_name(const std::vector<const CLI::App*>& apps) {
  std::string name = "mformer";
  for (size_t i = 1; i < apps.size(); ++i) name += ' ' + apps[i]->get_name();
  return name;
}

std::string help_hint(const std::vector<const CLI::App*>& apps) {
  return "see " + full_name(apps) + " --help";
}

std::vector<std::string> option_names(const std::vector<const CLI::App*>& apps) {
  std::vector<std::string> names;
  for (auto app = apps.rbegin(); app != apps.rend(); ++app) {
    for (const CLI::Option* option : (*app)->get_options()) {
      for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
    }
  }
  return names;
}

std::vector<std::string> command_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    names.push_back(command->get_name());
  }
  return names;
}

UsageMessage unknown_argument(const std::vector<const CLI::App*>& apps, const std::string& argument) {
  if (argument.starts_with('-') && argument.size() > 1) {
    const std::string name = argument.substr(0, argument.find('='));
    const std::vector<std::string> near = suggest(name, option_names(apps));
    const std::string hint = near.empty() ? help_hint(apps) : suggestion_hint(name, near, "options", "");
    return {"unknown option '" + shown_argument(name) + "' of '" + full_name(apps) + "'", hint};
  }
  const std::vector<std::string> commands = command_names(*apps.back());
  if (commands.empty()) {
    return {"'" + full_name(apps) + "' does not take the argument '" + shown_argument(argument) + "'", help_hint(apps)};
  }
  const std::string prefix = apps.size() == 1 ? "" : full_name(apps).substr(sizeof("mformer")) + ' ';
  const std::vector<std::string> near = suggest(argument, commands);
  const std::string hint =
      near.empty() ? full_name(apps) + " --help lists the commands" : suggestion_hint(argument, near, "commands", "");
  return {"unknown command '" + prefix + shown_argument(argument) + "'", hint};
}

// "Could not convert: --steps = a,b" and "--keep: message" start with the option's name after this.
const CLI::Option* option_of(const std::vector<const CLI::App*>& apps, const std::string& name) {
  for (auto app = apps.rbegin(); app != apps.rend(); ++app) {
    if (const CLI::Option* option = (*app)->get_option_no_throw(name)) return option;
  }
  return nullptr;
}

std::string article_and_kind(const CLI::Option& option) {
  const std::string type = option.get_type_name();
  if (type == "INT" || type == "UINT") return "a whole number";
  return type == "FLOAT" ? "a number" : "another value";
}

UsageMessage conversion(const std::vector<const CLI::App*>& apps, const std::string& text) {
  constexpr std::string_view start = "Could not convert: ";
  const size_t equals = text.find(" = ");
  if (!text.starts_with(start) || equals == std::string::npos) return {shown_argument(text), help_hint(apps)};
  const std::string name = text.substr(start.size(), equals - start.size());
  const CLI::Option* option = option_of(apps, name);
  const std::string wanted = option == nullptr ? "another value" : article_and_kind(*option);
  return {name + ": '" + shown_argument(text.substr(equals + 3)) + "' is not " + wanted, help_hint(apps)};
}

// Our validators answer "sentence\nhint: advice", to which CLI11 adds the option's name in front.
UsageMessage validation(const std::vector<const CLI::App*>& apps, const std::string& text) {
  constexpr std::string_view separator = "\nhint: ";
  const size_t split = text.rfind(separator);
  if (split == std::string::npos) return {shown_argument(text), help_hint(apps)};
  return {shown_argument(text.substr(0, split)), text.substr(split + separator.size())};
}

UsageMessage wrong_number(const std::vector<const CLI::App*>& apps, const std::string& text) {
  for (const CLI::App* app : apps) {
    for (const CLI::Option* option : app->get_options()) {
      if (option->get_expected_max() == 1 && option->count() > 1) {
        return {option->get_name() + " is given " + std::to_string(option->count()) + " times, but takes one value",
                "keep one of them"};
      }
    }
  }
  const size_t colon = text.find(": ");
  const std::string name = text.substr(0, colon);
  if (colon != std::string::npos && option_of(apps, name) != nullptr) {
    return {name + " needs a value", help_hint(apps)};
  }
  return {shown_argument(text), help_hint(apps)};
}

std::string without(std::string text, std::string_view ending) {
  if (text.ends_with(ending)) text.resize(text.size() - ending.size());
  return text;
}

UsageMessage missing(const std::vector<const CLI::App*>& apps, const std::string& text) {
  if (text.starts_with("A subcommand")) {
    const std::string what = apps.size() == 1 ? "no command is given" : "'" + full_name(apps) + "' needs a command";
    return {what, full_name(apps) + " --help lists the commands"};
  }
  return {"'" + full_name(apps) + "' needs " + without(text, " is required"), help_hint(apps)};
}

}  // namespace

UsageMessage explain(const CLI::App& root, const CLI::ParseError& error) {
  const std::vector<const CLI::App*> apps = chosen_apps(root);
  const std::string text = error.what();
  const auto kind = static_cast<CLI::ExitCodes>(error.get_exit_code());
  // A misspelt name explains most other complaints, a missing command or option among them;
  // "success" is a request for its help.
  const std::vector<std::string> unknown = root.remaining(true);
  const bool may_follow_from_it =
      kind == CLI::ExitCodes::ExtrasError || kind == CLI::ExitCodes::RequiredError || kind == CLI::ExitCodes::Success;
  if (!unknown.empty() && may_follow_from_it) {
    return unknown_argument(apps, unknown.front());
  }
  switch (kind) {
    case CLI::ExitCodes::RequiredError:
      return missing(apps, text);
    case CLI::ExitCodes::ConversionError:
      return conversion(apps, text);
    case CLI::ExitCodes::ValidationError:
      return validation(apps, text);
    case CLI::ExitCodes::ArgumentMismatch:
      return wrong_number(apps, text);
    default:
      return {shown_argument(text), help_hint(apps)};
  }
}

}  // namespace mformer::cli
