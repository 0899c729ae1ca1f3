#pragma once

#include <functional>
#include <string>

namespace mformer::cli {

/// For a command that is asked to write one file: throws Error, before any work, unless that loses nothing. The file is
/// new, or a regular one that `is_ours` knows as an earlier result of the same kind, and lies in no workspace's memory.
/// `kind`: "table of losses", for the message.
void require_output(const std::string& path, const std::string& kind,
                    const std::function<bool(const std::string& path)>& is_ours);

/// Whether the first line of the file is this one.
bool has_first_line(const std::string& path, const std::string& line);

}  // namespace mformer::cli
