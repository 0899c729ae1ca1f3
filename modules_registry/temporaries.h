#pragma once

#include <filesystem>

namespace mformer {

class Error;

// Unfinished files (temporary_beside in files.h) that get their name when they are whole.

/// A new file to be written: a descriptor, or -1 and errno. `mode`: permissions, less the umask.
int create_file(const std::filesystem::path& path, unsigned mode);

/// The same, and it is locked until it is closed, where files can be: as long as its process lives.
int create_locked(const std::filesystem::path& path, unsigned mode);

/// Whether the open file is still the one of this name.
bool has_name(int descriptor, const std::filesystem::path& path);

/// Removes what killed processes left of earlier writes of the file `path`: those of its temporary names that nobody
/// has locked. What can't be removed stays.
void remove_dead_temporaries(const std::filesystem::path& path);

/// Throws the error with which bringing a new name to the disk ended, for a file or folder of that name that can't be
/// taken back either: it says that it is there, but may be gone after a power failure.
[[noreturn]] void throw_may_not_last(const Error& error, const std::filesystem::path& path);

}  // namespace mformer
