#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "modules_registry/records.h"

namespace mformer {

/// One clause of a selector (core/workspace/selector.h), read, but not yet looked up in any version.
struct SelectorClause {
  enum class What { all, kind, layer, index, uid, born, domain, frozen, unfrozen, share, top_share };
  What what = What::all;
  Kind kind = Kind::att;             ///< Of `kind`.
  std::int64_t first = 0, last = 0;  ///< Of `layer` and `index`, inclusive.
  std::string name;                  ///< Beginning of a uid, the command of a birth, or a domain.
  std::string task;                  ///< Of a birth (empty = any), or of a share.
  std::string comparison;            ///< Of `share`: ">=", "<=", ">" or "<".
  double share = 0;                  ///< Of `share` and `top_share`, 0 … 1.
};

/// Reads a selector of any length, in time proportional to it. Knows no registry, so that a typo can be told before
/// anything else is looked at. Throws UsageError, which names the clause and the known ones, for what can't be read.
std::vector<SelectorClause> read_selector(const std::string& selector);

/// What an error may show of text from outside: its beginning, without anything that a terminal obeys.
std::string quotable(const std::string& text);

}  // namespace mformer
