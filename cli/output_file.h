#pragma once

#include <functional>
#include <string>

namespace mformer::cli {

/// Throws Error unless nothing is lost where this file is written: it is new, or a regular one that `is_ours` knows as
/// an earlier result of the same kind, and lies in no workspace's memory. `kind`: "table of losses", for the message.
void require_replaceable(const std::string& path, const std::string& kind,
                         const std::function<bool(const std::string& path)>& is_ours);

/// For a command that is asked to write one file, before any work: require_replaceable(), and throws UsageError where
/// the folder is not there in which it is to lie.
void require_output(const std::string& path, const std::string& kind,
                    const std::function<bool(const std::string& path)>& is_ours);

/// Whether the first line of the file is this one.
bool has_first_line(const std::string& path, const std::string& line);

}  // namespace mformer::cli
