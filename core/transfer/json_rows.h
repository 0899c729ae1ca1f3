#pragma once

#include <cstddef>
#include <functional>
#include <nlohmann/json.hpp>
#include <set>
#include <span>
#include <string>

namespace mformer {

/// How a long JSON text is read as it comes, so that no more of it than one row is in memory at once: some containers,
/// named by their paths ("" the whole, "/models/*/offer"), are walked through, and what lies in them is a row.
struct RowReading {
  std::set<std::string> objects, arrays;  ///< that are walked through
  /// The path of its container, and in an object its name there.
  std::function<void(const std::string& path, const std::string& name, nlohmann::json& row)> take;
  std::function<void(const std::string& path)> leave;  ///< the end of a container; may be empty
  std::string what, hint;                              ///< of errors: "the index of the bundle"
};

/// `more` fills a part of what it is given and returns how much, 0 at the end. Throws Error for what is no JSON, a list
/// where an object should be, a row of more than 16 MiB, and whatever `take` throws.
void read_rows(const std::function<std::size_t(std::span<char>)>& more, const RowReading& reading);

}  // namespace mformer
