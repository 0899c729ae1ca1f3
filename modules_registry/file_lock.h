#pragma once

#include <filesystem>

namespace mformer {

/// An exclusive lock on a file of its own, held until release(), destruction, or the end of the process, however it
/// ends: unlike a process id, nobody else can seem to hold it later, and it works across containers.
class FileLock {
 public:
  /// Creates the file and locks it. Throws Error if either fails, or somebody else holds the lock. Who only asks
  /// is_held(), or removes the file meanwhile as a dead one's, is no obstacle.
  explicit FileLock(std::filesystem::path path);
  ~FileLock();
  FileLock(FileLock&& other) noexcept;
  FileLock& operator=(FileLock&& other) noexcept;

  /// Unlocks and deletes the file.
  void release();

  /// True if a living process holds the lock of this file; false if the file is missing.
  static bool is_held(const std::filesystem::path& path);

  /// Deletes the file unless somebody holds its lock, or is just taking it. True if the file is gone.
  static bool remove_if_free(const std::filesystem::path& path);

 private:
  std::filesystem::path path_;
  int descriptor_ = -1;
};

}  // namespace mformer
