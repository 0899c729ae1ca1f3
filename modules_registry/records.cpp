#include "modules_registry/records.h"

#include <algorithm>
#include <cctype>

#include "modules_registry/error.h"

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

void require_valid_name(std::string_view what, std::string_view name) {
  const auto allowed = [](unsigned char c) { return c >= 0x80 || std::isalnum(c) || c == '.' || c == '_' || c == '-'; };
  const bool valid = !name.empty() && name.size() <= 100 && name.front() != '-' && name.front() != '.' &&
                     std::all_of(name.begin(), name.end(), allowed);
  if (valid) return;
  throw UsageError("'" + std::string(name) + "' can't be the name of a " + std::string(what),
                   "use letters, digits, '.', '_' and '-', at most 100, beginning with a letter or digit");
}

std::string to_string(const VersionRecord& version) {
  return version.model + "@" + std::to_string(version.number);
}

}  // namespace mformer
