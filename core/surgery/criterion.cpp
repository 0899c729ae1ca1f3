#include "core/surgery/criterion.h"

#include <algorithm>

#include "modules_registry/error.h"
#include "modules_registry/suggest.h"

namespace mformer {

const std::vector<std::string>& criterion_names() {
  static const std::vector<std::string> names = {"frequency", "gate-mass", "reap", "norm", "random"};
  return names;
}

Criterion criterion_from_string(const std::string& text) {
  const auto& names = criterion_names();
  const auto found = std::find(names.begin(), names.end(), text);
  if (found == names.end()) {
    throw UsageError("unknown criterion '" + text + "'", suggestion_hint(text, names, "criteria", ""));
  }
  return static_cast<Criterion>(found - names.begin());
}

const std::string& to_string(Criterion criterion) {
  return criterion_names().at(static_cast<std::size_t>(criterion));
}

bool needs_statistics(Criterion criterion) {
  return criterion != Criterion::norm && criterion != Criterion::random;
}

PruneScope scope_from_string(const std::string& text) {
  if (text == "layer") return PruneScope::layer;
  if (text == "global") return PruneScope::global;
  throw UsageError("unknown scope '" + text + "'", "known scopes: layer, global");
}

}  // namespace mformer
