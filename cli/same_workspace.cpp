#include "cli/same_workspace.h"

#include <cctype>
#include <cstdlib>

#include "modules_registry/shell_word.h"

namespace mformer::cli {
namespace {

constexpr std::string_view kProgram = "mformer";

std::string program_in(const std::string& workspace) {
  const char* standing = std::getenv("MFORMER_WORKSPACE");
  if (workspace.empty() || (standing != nullptr && workspace == standing)) return std::string(kProgram);
  return std::string(kProgram) + " --workspace " + shell_word(workspace);
}

bool is_of_word(char letter) {
  return std::isalnum(static_cast<unsigned char>(letter)) != 0 || letter == '-' || letter == '_' || letter == '/' ||
         letter == '.';
}

/// Whether a command of `root` stands at the beginning of `text`, behind a space.
bool command_follows(const CLI::App& root, std::string_view text) {
  if (!text.starts_with(' ')) return false;
  text.remove_prefix(1);
  std::size_t length = 0;
  while (length < text.size() && is_of_word(text[length])) ++length;
  while (length > 0 && text[length - 1] == '.') --length;  // the end of a sentence
  const std::string_view name = text.substr(0, length);
  return !root.get_subcommands([name](const CLI::App* command) { return command->get_name() == name; }).empty();
}

}  // namespace

std::string program_of(const GlobalOptions& global) {
  return program_in(global.workspace);
}

std::string in_same_workspace(const CLI::App& root, std::string_view text) {
  const CLI::Option* option = root.get_option_no_throw("--workspace");
  if (option == nullptr || option->results().empty()) return std::string(text);
  const std::string program = program_in(option->results().back());
  std::string result;
  while (true) {
    const std::size_t at = text.find(kProgram);
    if (at == std::string_view::npos) return result.append(text);
    const std::string_view before = text.substr(0, at), after = text.substr(at + kProgram.size());
    const bool begins_word = before.empty() ? result.empty() || !is_of_word(result.back()) : !is_of_word(before.back());
    result.append(before).append(begins_word && command_follows(root, after) ? program : kProgram);
    text = after;
  }
}

}  // namespace mformer::cli
