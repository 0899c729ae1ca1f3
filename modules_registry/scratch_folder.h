#pragma once

#include <filesystem>
#include <functional>
#include <string>

namespace mformer {

/// A new folder `.tmp-<kind>-<uid>` for work that is put in place when it is whole. It is locked while this object
/// lives, however the process ends: so the next one of its kind finds those that killed processes left.
class ScratchFolder {
 public:
  /// Takes away what may go with a folder of this kind, and nothing else. Must not throw.
  using Remove = std::function<void(const std::filesystem::path&)>;

  /// Removes the dead folders of this kind in `parent`, which must be there, and makes a new one; with `take_over` the
  /// first of the dead ones, as it is, stands in for that. Throws Error if that fails.
  ScratchFolder(const std::filesystem::path& parent, const std::string& kind, Remove remove, bool take_over = false);
  ~ScratchFolder();
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  /// Locks a folder that is to take this one's name, so that nobody takes it for a dead one either.
  void lock_too(const std::filesystem::path& folder);
  /// From now on this is the folder that is removed at the end; empty = none.
  void now_at(std::filesystem::path path) { path_ = std::move(path); }

 private:
  bool take_over_dead(const std::filesystem::path& parent, const std::string& prefix);

  std::filesystem::path path_;
  Remove remove_;
  int lock_ = -1, other_lock_ = -1;
};

}  // namespace mformer
