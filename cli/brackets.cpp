#include "cli/brackets.h"

#include <functional>
#include <string_view>

namespace mformer::cli {
namespace {

constexpr char kMark = '\0';

}  // namespace

std::vector<std::string> mark_brackets(int argc, const char* const* argv) {
  std::vector<std::string> arguments;
  for (int i = argc - 1; i > 0; --i) {
    std::string& argument = arguments.emplace_back(argv[i]);
    if (argument.ends_with(']')) argument += kMark;  // also of --stop=[a]
  }
  return arguments;
}

void keep_brackets(CLI::App& app) {
  for (CLI::Option* option : app.get_options())
    option->transform(std::function<std::string(std::string)>(without_marks));
  for (CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) keep_brackets(*command);
}

std::string without_marks(std::string message) {
  std::erase(message, kMark);
  return message;
}

}  // namespace mformer::cli
