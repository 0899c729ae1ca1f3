#include "cli/show_word.h"

#include <algorithm>
#include <charconv>
#include <vector>

#include "cli/describe.h"
#include "modules_registry/error.h"
#include "modules_registry/shell_word.h"
#include "modules_registry/suggest.h"

namespace mformer::cli {
namespace {

constexpr int kMostModules = 4;  // that an ambiguous beginning lists
constexpr std::size_t kFewestDigits = 4;

struct Meaning {
  Shown shown;
  std::string text;  ///< "the version base@3 (tag first)"
};

class Meanings {
 public:
  Meanings(const Registry& registry, const std::string& word) : registry_(registry), word_(word) {}

  std::vector<Meaning> by_name() {
    found_.clear();
    add_names();
    for (const TaskRecord& task : registry_.tasks()) {
      if (task.name != word_) continue;
      Shown shown{Shown::What::task, 0, {}, "", task.name};
      found_.push_back({shown, "the task " + task.name});
    }
    add_operation();
    return found_;
  }

  std::vector<Meaning> by_beginning() {
    found_.clear();
    for (const VersionRecord& version : registry_.versions_that_begin(word_)) {
      add_version(version, short_hash(version.hash));
    }
    std::string digits = word_;
    std::transform(digits.begin(), digits.end(), digits.begin(), [](unsigned char c) { return std::tolower(c); });
    if (digits.size() < kFewestDigits || digits.find_first_not_of("0123456789abcdef") != std::string::npos)
      return found_;
    for (const std::string& uid : registry_.modules_that_begin(digits, kMostModules)) {
      found_.push_back({{Shown::What::module, 0, {}, uid, ""}, "the module " + uid});
    }
    return found_;
  }

  /// Names that the word may be a slip of.
  std::vector<std::string> known() const {
    std::vector<std::string> names;
    for (const ModelRecord& model : registry_.models()) names.push_back(model.name);
    for (const TagRecord& tag : registry_.tags()) names.push_back(tag.name);
    for (const TaskRecord& task : registry_.tasks()) names.push_back(task.name);
    return names;
  }

 private:
  void add_version(const VersionRecord& version, const std::string& by) {
    found_.push_back(
        {{Shown::What::version, 0, version, "", ""}, "the version " + version_name(version) + " (" + by + ")"});
  }

  void add_names() {
    if (word_.find('@') != std::string::npos) return add_version(registry_.resolve(word_), "its own name");
    for (const ModelRecord& model : registry_.models()) {
      if (model.name == word_) add_version(registry_.version(model.current_version), "model " + word_);
    }
    for (const TagRecord& tag : registry_.tags()) {
      if (tag.name == word_) add_version(registry_.version(tag.version), "tag " + word_);
    }
  }

  void add_operation() {
    std::int64_t id = 0;
    const char* end = word_.data() + word_.size();
    const auto parsed = std::from_chars(word_.data(), end, id);
    if (parsed.ec != std::errc() || parsed.ptr != end || id <= 0) return;
    try {
      const OperationRecord operation = registry_.operation(id);
      found_.push_back(
          {{Shown::What::operation, id, {}, "", ""}, "operation " + word_ + " (" + operation.command + ")"});
    } catch (const UsageError&) {
      return;  // a number that no operation has
    }
  }

  const Registry& registry_;
  const std::string& word_;
  std::vector<Meaning> found_;
};

[[noreturn]] void fail_several(const std::string& word, const std::vector<Meaning>& found) {
  std::string list, kinds;
  bool one_kind = true;
  for (const Meaning& meaning : found) {
    list += (list.empty() ? "" : ", ") + meaning.text;
    const std::string option = "--as " + to_string(meaning.shown.what);
    if (kinds.find(option) == std::string::npos) kinds += (kinds.empty() ? "" : ", or ") + option;
    one_kind = one_kind && meaning.shown.what == found.front().shown.what;
  }
  throw UsageError("'" + word + "' means more than one thing: " + list,
                   one_kind ? "give more digits" : "say which: mformer show " + shell_word(word) + ' ' + kinds);
}

}  // namespace

std::string to_string(Shown::What what) {
  switch (what) {
    case Shown::What::operation:
      return "operation";
    case Shown::What::module:
      return "module";
    case Shown::What::task:
      return "task";
    default:
      return "version";
  }
}

Shown find_shown(const Registry& registry, const std::string& word, const std::string& as) {
  Meanings meanings(registry, word);
  const auto choose = [&](std::vector<Meaning> found) {
    std::erase_if(found, [&](const Meaning& meaning) { return !as.empty() && to_string(meaning.shown.what) != as; });
    if (found.size() > 1) fail_several(word, found);
    return found;
  };
  std::vector<Meaning> found = choose(meanings.by_name());
  if (found.empty()) found = choose(meanings.by_beginning());
  if (!found.empty()) return found.front().shown;
  throw UsageError("there is no " + (as.empty() ? "model, version, task, operation or module" : as) + " '" + word + "'",
                   suggestion_hint(word, meanings.known(), "names", "mformer log lists what was done"));
}

}  // namespace mformer::cli
