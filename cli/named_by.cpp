#include <algorithm>
#include <cctype>
#include <iterator>
#include <sstream>
#include <string_view>

#include "cli/complete.h"
#include "cli/help.h"

// Which options and arguments name what, and which take one of a few words.
namespace mformer::cli {
namespace {

/// What help writes for the value.
struct NamedByLabel {
  std::string_view label;
  Named what;
};
constexpr NamedByLabel by_label[] = {
    {"REF", Named::version},       {"BEFORE", Named::version},   {"AFTER", Named::version},
    {"BRANCH_A", Named::version},  {"BRANCH_B", Named::version}, {"SMALL", Named::version},
    {"SELECTOR", Named::selector}, {"THING", Named::thing},
};

/// Values that help calls NAME or the like; an empty command stands for every one.
struct NamedByOption {
  std::string_view command, option;
  Named what;
};
constexpr NamedByOption by_option[] = {
    {"", "--task", Named::task},
    {"", "--into", Named::model},
    {"task move", "NAME", Named::task},
    {"task remove", "NAME", Named::task},
    {"task rename", "OLD", Named::task},
    {"model remove", "NAME", Named::model},
    {"model rename", "OLD", Named::model},
    {"tag", "NAME", Named::tag},
    {"move", "MODEL", Named::model},
    {"push", "MODEL", Named::model},
    {"bundle", "MODEL", Named::model},
    {"push", "DEST", Named::folder},
    {"pull", "SRC", Named::file},
    {"bundle", "OUT", Named::file},
    {"log", "OP", Named::operation},
    {"plot training", "OP", Named::operation},
    {"eval", "--domain", Named::domain},
    {"export", "--domain", Named::domain},
    {"probe", "--domain", Named::domain},
    {"generate", "--domain", Named::domain},
    {"finetune", "--domain", Named::domain},
    {"prune", "--domain", Named::domain},
    {"inspect keep-curve", "--domain", Named::domain},
};

/// Words that are too many for what help calls the value.
struct WordsOfOption {
  std::string_view option, words;
};
constexpr WordsOfOption fixed_words[] = {
    {"--preset", "tiny small base molm-350m-4b molm-700m-4b molm-700m-8b"},
    {"--criterion", "frequency gate-mass reap norm random"},
    {"--criteria", "frequency gate-mass reap norm random"},
};

}  // namespace

std::string typed_name(const CLI::Option& option) {
  return option.get_positional() ? option.get_name(true) : "--" + option.get_lnames().front();
}

Named named_by(const CLI::Option& option, const std::string& command) {
  const std::string name = typed_name(option);
  for (const NamedByOption& rule : by_option) {
    if (rule.option == name && (rule.command.empty() || rule.command == command)) return rule.what;
  }
  const std::string label = option.get_positional() ? name : value_name(option);
  for (const NamedByLabel& rule : by_label) {
    if (rule.label == label) return rule.what;
  }
  if (label == "FILE") return Named::file;
  if (label != "DIR") return Named::nothing;
  return option.get_description().find("file") == std::string::npos ? Named::folder : Named::file;
}

namespace {

/// "cpu|cuda[:N]" and "N|auto": what is in small letters is meant literally.
std::vector<std::string> words_of_label(const std::string& label) {
  std::vector<std::string> words;
  std::istringstream parts(label);
  for (std::string part; std::getline(parts, part, '|');) {
    part = part.substr(0, part.find('['));
    const auto literal = [](unsigned char c) {
      return std::islower(c) != 0 || std::isdigit(c) != 0 || c == '-' || c == '_';
    };
    if (!part.empty() && std::all_of(part.begin(), part.end(), literal)) words.push_back(part);
  }
  return words;
}

}  // namespace

std::vector<std::string> words_of(const CLI::Option& option) {
  if (option.get_positional()) return {};
  if (value_name(option).find('|') != std::string::npos) return words_of_label(value_name(option));
  for (const WordsOfOption& fixed : fixed_words) {
    if (!option.check_name(std::string(fixed.option))) continue;
    std::istringstream text{std::string(fixed.words)};
    return {std::istream_iterator<std::string>(text), {}};
  }
  return words_of_label(value_name(option));
}

}  // namespace mformer::cli
