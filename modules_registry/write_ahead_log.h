#pragma once

#include <filesystem>

namespace mformer {

/// True if SQLite's write-ahead log `log` was damaged: it holds bytes, written after all that SQLite would still read,
/// that belong to its present use. SQLite itself passes over everything from the first wrong checksum on, since it
/// can't tell damage from a commit that was cut off: committed transactions would go without a word. A writer that was
/// killed or is just writing is no damage. False if there is no log. The format:
/// https://sqlite.org/fileformat2.html#walformat
bool is_damaged_log(const std::filesystem::path& log);

}  // namespace mformer
