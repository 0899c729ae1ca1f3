#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace mformer {

/// A piece of memory that goes to `peer`, or comes from it. It must stay until its exchange is done.
struct Transfer {
  int peer = 0;
  std::byte* data = nullptr;
  std::int64_t bytes = 0;
};

/// Transfers under way.
class Exchange {
 public:
  virtual ~Exchange() = default;
  /// Moves bytes on without waiting for any, and returns how many pieces were finished by it: 0 = no progress.
  virtual std::int64_t advance() = 0;
  /// The peers of what is not finished yet, ascending, each once; empty = all is done.
  virtual std::vector<int> waits_for() const = 0;
};

/// Moves bytes between the processes of a run, numbered from 0 ("ranks"). One thread at a time. ProcessGroup makes
/// collective operations of it; what moves the bytes is MPI (core/parallel/mpi), or in tests the memory of one process.
class Transport {
 public:
  virtual ~Transport() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;
  /// Begins transfers to and from other ranks than this one. What two ranks send each other in one lane (a small
  /// number) arrives in the order in which it was begun, and both name the same number of bytes. Throws Error where the
  /// other end is known to be gone.
  virtual std::unique_ptr<Exchange> begin(int lane, const std::vector<Transfer>& sends,
                                          const std::vector<Transfer>& receives) = 0;
  /// The last call, when no exchange is left: tells the launcher that this rank ended well.
  virtual void leave() = 0;
};

}  // namespace mformer
