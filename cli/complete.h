#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>
#include <vector>

/// What a shell offers when Tab is pressed, worked out from the commands themselves, so that it can't grow stale.
namespace mformer::cli {

/// A word that may stand in place of the one being typed, and a few words about it.
struct Candidate {
  std::string text;
  std::string description;
};

/// What a value is the name of.
enum class Named { nothing, file, folder, version, model, task, tag, domain, operation, selector, thing };

/// A question about names that only a workspace knows.
struct NameQuery {
  Named what = Named::nothing;  ///< version, model, task, tag, domain or operation, or a thing: any of them
  std::string word;             ///< as far as it is typed
  std::string workspace;        ///< the value of --workspace on the line, or empty
  std::string model;            ///< the value of --model on the line, or empty; whose domains are meant
};
using NameLookup = std::function<std::vector<Candidate>(const NameQuery&)>;

struct Completion {
  std::vector<Candidate> candidates;  ///< Each begins with the last word.
  Named paths = Named::nothing;       ///< file or folder: here the shell's own completion of paths is meant.
};

/// How the last of `words` may go on, which may be empty: the words of a command line after the program's name, without
/// quotes. Commands, options that were not given yet, the words that an option takes, and names that `names` finds.
/// Words that are no part of a valid line are passed over.
Completion complete(const CLI::App& root, const std::vector<std::string>& words, const NameLookup& names);

/// How it is written on a command line: "--scope", or "NAME" of an argument.
std::string typed_name(const CLI::Option& option);

/// What an argument or an option's value names. `command`: "task move", without the program's name.
Named named_by(const CLI::Option& option, const std::string& command);

/// The words that an option takes, of those that are a closed list.
std::vector<std::string> words_of(const CLI::Option& option);

}  // namespace mformer::cli
