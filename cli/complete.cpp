#include "cli/complete.h"

#include <algorithm>
#include <string_view>

#include "cli/help.h"
#include "cli/terminal/text.h"

namespace mformer::cli {
namespace {

constexpr int description_width = 60;

/// Of a selector's clauses those that need no more; the others are typed.
constexpr std::string_view selector_clauses[] = {"all", "kind=att", "kind=mlp", "frozen", "unfrozen"};

bool takes_value(const CLI::Option& option) {
  return option.get_expected_max() > 0 && option.get_type_size_max() > 0;
}

bool takes_many(const CLI::Option& option) {
  return option.get_expected_max() >= CLI::detail::expected_max_vector_size;
}

bool is_option(const std::string& word) {
  return word.size() > 1 && word.front() == '-';
}

std::string short_description(const std::string& text) {
  return terminal::shorten(text, description_width, /*unicode=*/true);
}

/// The line as far as it is typed.
class Line {
 public:
  Line(const CLI::App& root, const NameLookup& names) : apps_{&root}, names_(names) {}

  /// A word that stands complete.
  void read(const std::string& word) {
    if (word == "help" && apps_.size() == 1 && given_.empty() && waiting_ == nullptr && !only_commands_) {
      only_commands_ = true;
      return;
    }
    if (waiting_ != nullptr && !(has_value_ && is_option(word))) return read_value(word);
    waiting_ = nullptr;
    if (!only_arguments_ && word == "--") {
      only_arguments_ = true;
    } else if (!only_arguments_ && is_option(word)) {
      read_option(word);
    } else if (const CLI::App* command = command_named(word); command != nullptr && arguments_ == 0) {
      apps_.push_back(command);
    } else {
      ++arguments_;
    }
  }

  Completion complete(const std::string& word) {
    Completion result;
    if (only_commands_) {
      add_commands(result, word);
      return result;
    }
    if (waiting_ != nullptr && !(has_value_ && is_option(word))) {
      add_values(result, *waiting_, word, "");
      return result;
    }
    if (!only_arguments_ && is_option(word)) {
      const std::size_t equals = word.find('=');
      if (equals == std::string::npos) {
        add_options(result, word);
      } else if (const CLI::Option* option = option_named(word.substr(0, equals)); option != nullptr) {
        add_values(result, *option, word.substr(equals + 1), word.substr(0, equals + 1));
      }
      return result;
    }
    add_commands(result, word);
    if (const CLI::Option* argument = next_argument(); argument != nullptr) add_values(result, *argument, word, "");
    const bool nothing = result.candidates.empty() && result.paths == Named::nothing;
    if (nothing && !only_arguments_ && (word.empty() || word == "-")) add_options(result, word);
    return result;
  }

 private:
  void read_value(const std::string& word) {
    if (typed_name(*waiting_) == "--workspace") workspace_ = word;
    if (typed_name(*waiting_) == "--model") model_ = word;
    has_value_ = true;
    if (!takes_many(*waiting_)) waiting_ = nullptr;
  }

  void read_option(const std::string& word) {
    const std::size_t equals = word.find('=');
    const CLI::Option* option = option_named(word.substr(0, equals));
    if (option == nullptr) return;
    given_.push_back(option);
    if (!takes_value(*option)) return;
    waiting_ = option;
    has_value_ = false;
    if (equals == std::string::npos) return;
    read_value(word.substr(equals + 1));
    waiting_ = nullptr;
  }

  const CLI::Option* option_named(const std::string& name) const {
    for (auto app = apps_.rbegin(); app != apps_.rend(); ++app) {
      const CLI::Option* option = (*app)->get_option_no_throw(name);
      if (option != nullptr && !option->get_positional()) return option;
    }
    return nullptr;
  }

  std::vector<const CLI::App*> commands() const {
    return apps_.back()->get_subcommands([](const CLI::App*) { return true; });
  }

  const CLI::App* command_named(const std::string& word) const {
    for (const CLI::App* command : commands()) {
      if (command->get_name() == word) return command;
    }
    return nullptr;
  }

  std::string command_name() const {
    std::string name;
    for (std::size_t i = 1; i < apps_.size(); ++i) name += (i == 1 ? "" : " ") + apps_[i]->get_name();
    return name;
  }

  const CLI::Option* next_argument() const {
    const auto arguments =
        apps_.back()->get_options([](const CLI::Option* option) { return option->get_positional(); });
    if (arguments.empty()) return nullptr;
    if (arguments_ < arguments.size()) return arguments[arguments_];
    return takes_many(*arguments.back()) ? arguments.back() : nullptr;
  }

  void add_commands(Completion& result, const std::string& word) const {
    if (arguments_ > 0 || only_arguments_) return;
    for (const CLI::App* command : commands()) {
      if (command->get_name().starts_with(word) && !command->get_group().empty()) {
        result.candidates.push_back({command->get_name(), short_description(command->get_description())});
      }
    }
    if (apps_.size() > 1 || !given_.empty() || only_commands_) return;
    for (const Candidate& plain :
         {Candidate{"help", "Show the help of a command"}, Candidate{"version", "Show the version"}}) {
      if (plain.text.starts_with(word)) result.candidates.push_back(plain);
    }
  }

  void add_options(Completion& result, const std::string& word) const {
    for (auto app = apps_.rbegin(); app != apps_.rend(); ++app) {
      for (const CLI::Option* option : (*app)->get_options()) {
        const bool given = std::find(given_.begin(), given_.end(), option) != given_.end();
        const bool help_again =
            (app != apps_.rbegin() && option == (*app)->get_help_ptr()) || option == (*app)->get_help_all_ptr();
        if ((given && !takes_many(*option)) || help_again || option->get_group().empty()) continue;
        for (const std::string& name : option->get_lnames()) {
          const std::string text = "--" + name;
          if (text.starts_with(word)) {
            result.candidates.push_back({text, short_description(option->get_description())});
          }
        }
      }
    }
  }

  void add_values(Completion& result, const CLI::Option& option, const std::string& word, const std::string& before) {
    for (const std::string& value : words_of(option)) {
      if (value.starts_with(word)) result.candidates.push_back({before + value, ""});
    }
    const Named what = named_by(option, command_name());
    if (what == Named::file || what == Named::folder) {
      result.paths = what;
    } else if (what == Named::selector) {
      add_clauses(result, word, before);
    } else if (what != Named::nothing) {
      for (Candidate& name : names_({what, word, workspace_, model_})) {
        if (name.text.starts_with(word)) {
          result.candidates.push_back({before + name.text, short_description(name.description)});
        }
      }
    }
  }

  /// The clause of a selector that is being typed, behind the last comma.
  void add_clauses(Completion& result, const std::string& word, const std::string& before) const {
    const std::size_t comma = word.rfind(',');
    const std::string done = comma == std::string::npos ? "" : word.substr(0, comma + 1),
                      typed = word.substr(done.size());
    const auto add = [&](const std::string& clause) {
      if (!done.empty() && clause == "all") return;  // says nothing beside another
      const bool there_already = ("," + done).find("," + clause.substr(0, clause.find('='))) != std::string::npos;
      if (!there_already && clause.starts_with(typed)) result.candidates.push_back({before + done + clause, ""});
    };
    for (const std::string_view clause : selector_clauses) add(std::string(clause));
    for (const Candidate& domain : names_({Named::domain, "", workspace_, model_})) add("domain=" + domain.text);
  }

  std::vector<const CLI::App*> apps_;  ///< the root, and the commands that were named
  const NameLookup& names_;
  std::vector<const CLI::Option*> given_;
  const CLI::Option* waiting_ = nullptr;  ///< the option of which the next word is a value
  bool has_value_ = false;                ///< whether it has one already
  bool only_arguments_ = false;
  std::size_t arguments_ = 0;
  bool only_commands_ = false;  ///< behind `help`
  std::string workspace_, model_;
};

}  // namespace

Completion complete(const CLI::App& root, const std::vector<std::string>& words, const NameLookup& names) {
  Line line(root, names);
  for (std::size_t i = 0; i + 1 < words.size(); ++i) line.read(words[i]);
  return line.complete(words.empty() ? "" : words.back());
}

}  // namespace mformer::cli
