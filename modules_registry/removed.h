#pragma once

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>

namespace mformer {

// What was removed keeps its rows under a name that nothing else can have (no name has parentheses), until gc frees
// them: so an undo only gives the old name back. Inside modules_registry only.

inline constexpr const char* kRemovedMark = " (removed ";

inline std::string removed_name(const std::string& name, std::int64_t operation) {
  return name + kRemovedMark + std::to_string(operation) + ")";
}

inline bool is_removed(const std::string& name) {
  return name.find(kRemovedMark) != std::string::npos;
}

/// The name without the mark, if it has one.
inline std::string name_before_removal(const std::string& name) {
  return name.substr(0, name.find(kRemovedMark));
}

/// The operation that put the mark on a name; 0 if it has none.
inline std::int64_t removing_operation(const std::string& name) {
  const auto at = name.find(kRemovedMark);
  return at == std::string::npos ? 0 : std::strtoll(name.c_str() + at + std::strlen(kRemovedMark), nullptr, 10);
}

/// SQL: true for rows of models and tasks that were not removed.
inline constexpr const char* kLiving = "instr(name, ' (removed ') = 0 ";

}  // namespace mformer
