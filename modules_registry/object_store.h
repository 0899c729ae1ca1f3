#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "modules_registry/files.h"

namespace mformer {

/// Immutable files named by the SHA-256 of their bytes: `root/ab/abcdef…`, mode 0444. Any number of processes may use
/// one store at once; one thread at a time for each object of this class. A hash is 64 lower-case hexadecimal digits;
/// anything else throws Error.
class ObjectStore {
 public:
  /// Creates nothing: folders appear with the first object.
  explicit ObjectStore(std::filesystem::path root);
  ObjectStore(ObjectStore&&) = default;
  ObjectStore& operator=(ObjectStore&&) = default;
  /// What was not flushed is thrown away.
  ~ObjectStore();

  /// Stores the bytes and returns their hash. The object gets its name, and survives a power failure, with flush().
  /// One already there is kept (its age starts anew, so that a garbage collection beside us spares it), or written
  /// again if its size is wrong. Throws Error when the disk is full or the folder read-only; no half object is left.
  std::string put(Bytes bytes);

  /// The same for one object whose bytes lie in several places (e.g. a header and tensors).
  std::string put(std::span<const Bytes> pieces);

  /// Brings everything put so far to disk, then gives it its names: bytes before names, in two waits for any number of
  /// objects. Registry::commit_version calls it, and so does every method below that is asked about such an object.
  /// Throws Error if the disk fails.
  void flush() const;

  /// Where the object lies or would lie. For reading and memory-mapping only.
  std::filesystem::path path(const std::string& hash) const;

  bool contains(const std::string& hash) const;

  /// Size in bytes. Throws Error if the object is missing.
  std::int64_t size(const std::string& hash) const;

  /// True when the file is there and its bytes have this hash: reads the whole file.
  bool verify(const std::string& hash) const;

  /// Deletes the object; true if it was there. Only garbage collection should.
  bool remove(const std::string& hash);

  /// All hashes, sorted. Other files in the folder are passed over.
  std::vector<std::string> list() const;

  /// Unfinished files that killed processes left behind or others are just writing, with full paths.
  std::vector<std::filesystem::path> temporaries() const;

  const std::filesystem::path& root() const { return root_; }

 private:
  std::filesystem::path place(const std::string& hash) const;

  std::filesystem::path root_;
  mutable std::map<std::string, std::filesystem::path> unnamed_;  ///< put, not flushed: hash to temporary file
};

}  // namespace mformer
