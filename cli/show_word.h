#pragma once

#include <cstdint>
#include <string>

#include "modules_registry/registry.h"

namespace mformer::cli {

/// What a word means that `show` is given.
struct Shown {
  enum class What { operation, version, module, task };
  What what = What::version;
  std::int64_t operation = 0;
  VersionRecord version;
  std::string module;  ///< uid
  std::string task;
};

/// "operation", "version", "module", "task".
std::string to_string(Shown::What what);

/// Names (of models, tags, tasks, "name@N") and numbers of operations come before beginnings of hashes and uids, of
/// which four digits are needed. `as` is one of to_string(What), or empty for any. Throws UsageError for a word that
/// means nothing, or more than one thing: the message lists them, and the hint says how to choose.
Shown find_shown(const Registry& registry, const std::string& word, const std::string& as);

}  // namespace mformer::cli
