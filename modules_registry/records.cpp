#include "modules_registry/records.h"

#include <algorithm>
#include <cctype>

#include "modules_registry/error.h"
#include "modules_registry/printable.h"

namespace mformer {

std::string_view to_string(Kind kind) {
  return kind == Kind::att ? "att" : "mlp";
}

Kind kind_from_string(std::string_view text) {
  if (text == "att") return Kind::att;
  if (text == "mlp") return Kind::mlp;
  throw UsageError("'" + std::string(text) + "' is not a kind of module", "kinds are att and mlp");
}

std::string_view to_string(Outcome outcome) {
  switch (outcome) {
    case Outcome::running:
      return "running";
    case Outcome::done:
      return "done";
    case Outcome::failed:
      return "failed";
    case Outcome::interrupted:
      return "interrupted";
  }
  return "";
}

Outcome outcome_from_string(std::string_view text) {
  for (const Outcome outcome : {Outcome::running, Outcome::done, Outcome::failed, Outcome::interrupted}) {
    if (text == to_string(outcome)) return outcome;
  }
  throw UsageError("'" + std::string(text) + "' is not an outcome",
                   "outcomes are running, done, failed and interrupted");
}

std::string_view to_string(Thing thing) {
  return thing == Thing::model ? "model" : thing == Thing::task ? "task" : "tag";
}

Thing thing_from_string(std::string_view text) {
  for (const Thing thing : {Thing::model, Thing::task, Thing::tag}) {
    if (text == to_string(thing)) return thing;
  }
  throw UsageError("'" + std::string(text) + "' is nothing that has a name", "models, tasks and tags have one");
}

namespace {

/// Characters that take room but show nothing, and so hide in a name. A plain space is asked about elsewhere.
bool is_wide_blank(char32_t code) {
  return code == 0xA0 || code == 0x1680 || (code >= 0x2000 && code <= 0x200A) || code == 0x202F || code == 0x205F ||
         code == 0x3000;
}

bool fits_in_name(const TextCharacter& character, bool spaces) {
  if (!character.valid || is_control(character.code) || is_wide_blank(character.code)) return false;
  if (character.code >= 0x80) return true;
  const char c = static_cast<char>(character.code);
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '.' || c == '_' || c == '-' || (spaces && c == ' ');
}

}  // namespace

bool is_valid_name(std::string_view what, std::string_view name) {
  if (name.empty() || name.size() > 100 || name.front() == '-' || name.front() == '.') return false;
  if (name.front() == ' ' || name.back() == ' ') return false;
  const bool spaces = what == "task" || what == "domain";  // they are named after folders
  while (!name.empty()) {
    const TextCharacter character = first_character(name);
    if (!fits_in_name(character, spaces)) return false;
    name.remove_prefix(character.bytes);
  }
  return true;
}

bool was_valid_name(std::string_view name) {
  const auto allowed = [](unsigned char c) { return c >= 0x80 || std::isalnum(c) || c == '.' || c == '_' || c == '-'; };
  const bool was = !name.empty() && name.size() <= 100 && name.front() != '-' && name.front() != '.' &&
                   std::all_of(name.begin(), name.end(), allowed);
  return was || is_valid_name("domain", name);
}

void require_valid_name(std::string_view what, std::string_view name) {
  if (is_valid_name(what, name)) return;
  const std::string spaces = what == "model" || what == "tag" ? "" : ", spaces inside";
  throw UsageError(
      "'" + printable(name) + "' can't be the name of a " + std::string(what),
      "use letters, digits, '.', '_' and '-'" + spaces + ", at most 100 bytes, beginning with a letter or digit");
}

std::string to_string(const VersionRecord& version) {
  if (version.removed) return version.hash.substr(0, 12);
  return version.model + "@" + std::to_string(version.number);
}

}  // namespace mformer
