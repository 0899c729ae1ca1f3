#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "modules_registry/files.h"
#include "modules_registry/hashes_ahead.h"
#include "modules_registry/object_claims.h"

namespace mformer {

/// Immutable files named by the SHA-256 of their bytes: `root/ab/abcdef…`, mode 0444. Any number of processes may use
/// one store at once; one thread at a time for each object of this class. A hash is 64 lower-case hexadecimal digits;
/// anything else throws Error.
class ObjectStore {
 public:
  /// Waits until all that was written below a folder is on disk.
  using Sync = std::function<void(const std::filesystem::path&)>;

  /// Creates nothing: folders appear with the first object.
  explicit ObjectStore(std::filesystem::path root, Sync sync = sync_file_system);
  ObjectStore(ObjectStore&&) = default;
  ObjectStore& operator=(ObjectStore&&) = default;
  /// What was not flushed is thrown away.
  ~ObjectStore();

  /// Stores the bytes and returns their hash. The object gets its name, and survives a power failure, with flush().
  /// One already there is kept (its age starts anew, so that a garbage collection beside us spares it), or written
  /// again if its bytes are others: so a damaged object is healed. Throws Error when the disk is full or the folder
  /// read-only; no half object is left.
  std::string put(Bytes bytes);

  /// The same for one object whose bytes lie in several places (e.g. a header and tensors).
  std::string put(std::span<const Bytes> pieces);

  /// Stores an object of `size` bytes that `read` gives piece by piece (as many bytes as it fills, 0 at a premature
  /// end), whatever its size. Throws Error, and keeps nothing, if they are fewer or have another hash.
  using Reader = std::function<std::size_t(std::span<std::byte>)>;
  void receive(const std::string& hash, std::int64_t size, const Reader& read);

  /// Claims an object that is there, so that it stays until the operation ends; false if it is not.
  bool keep(const std::string& hash);

  /// From now on what is put belongs to the operation with this lock file, as long as that is there: object_claims.h.
  void claim_in(std::filesystem::path lock_file) { claims_.write_to(std::move(lock_file)); }

  /// Brings everything put so far to disk, then gives it its names: bytes before names, in two waits for any number of
  /// objects; in one where all were there already. Registry::commit_version calls it, and so does every method below
  /// that is asked about such an object. Throws Error if the disk fails.
  void flush() const;

  /// Where the object lies, to be read or mapped: its bytes have this hash. They are read once for each file, size and
  /// time of change. Throws Error if it is missing or damaged.
  std::filesystem::path verified_path(const std::string& hash) const;

  /// Begins to check these objects on another thread, in this order, for the calls of verified_path() to come: reading
  /// and hashing them takes longer than most of what is done with them. Instead of those of an earlier call.
  void verify_ahead(const std::vector<std::string>& hashes) const;

  /// Where the object lies or would lie, unchecked.
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
  bool is_verified(const std::string& hash) const;
  void remember_as_verified(const std::string& hash) const;

  std::filesystem::path root_;
  Sync sync_;
  ObjectClaims claims_;
  mutable std::map<std::string, std::filesystem::path> unnamed_;  ///< put, not flushed: hash to temporary file
  mutable std::map<std::string, FileStamp> verified_;             ///< files whose bytes were read and right
  mutable std::shared_ptr<HashesAhead> ahead_;
  mutable bool is_synced_ = true;  ///< false: an object that was kept may not have reached the disk yet
};

}  // namespace mformer
