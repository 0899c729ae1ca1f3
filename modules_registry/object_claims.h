#pragma once

#include <filesystem>
#include <string>
#include <unordered_set>
#include <vector>

namespace mformer {

// How a garbage collection knows what is whose. An operation writes the hash of each object that it puts into its lock
// file, running/<uid>, a line each, before it looks whether the object is there; the lock ends with the process. So
// what nothing names and no held lock claims is nobody's, however young, and the rest somebody's, however old. The
// first line says when the operation began, "began SECONDS NANOSECONDS" since 1970: each claim moves the time of the
// file on. Lines of anything else, and empty ones, claim nothing.

/// Held (shared) while an object is claimed and looked for, and (alone) while claims are read and files removed: so
/// nothing is removed between the look and the claim. On the folder itself, and so without a file of its own. Where the
/// folder is missing, or can't be locked, it does nothing.
class ClaimLock {
 public:
  enum class Mode { shared, alone };
  ClaimLock(const std::filesystem::path& objects, Mode mode);
  ~ClaimLock();
  ClaimLock(const ClaimLock&) = delete;
  ClaimLock& operator=(const ClaimLock&) = delete;

 private:
  int descriptor_ = -1;
};

/// Where a store writes its claims: the lock files of its process's operations.
class ObjectClaims {
 public:
  /// From now on claims go to this file, until it is gone; then to the one before.
  void write_to(std::filesystem::path lock_file) { files_.push_back(std::move(lock_file)); }
  /// Claims an object for the newest operation that has not ended; without one it stays nobody's. Throws Error if it
  /// can't be written.
  void add(const std::string& hash);

 private:
  std::vector<std::filesystem::path> files_;
};

/// What operations that are at work have said in their lock files.
struct LiveClaims {
  std::unordered_set<std::string> objects;  ///< hashes
  /// When the oldest of them began; the largest time where there is none.
  std::filesystem::file_time_type oldest = std::filesystem::file_time_type::max();
};

/// `locks` is the folder of the lock files. Throws Error where one that is held can't be read: nothing may be taken for
/// nobody's then.
LiveClaims live_claims(const std::filesystem::path& locks);

}  // namespace mformer
