#pragma once

#include <cstdint>
#include <future>

#include "core/training/batch.h"

namespace mformer {

/// The batches of consecutive steps, each made on another thread while the caller works on the one before. A batch
/// costs microseconds once its tokens are in memory; what this hides is the wait for a disk that still has to bring
/// them.
///
/// The source is called for one step at a time, in order, and for no step but those asked for; what it returns is
/// passed on as it is, and what it throws is thrown by next() at that step. The destructor waits for the call under
/// way.
class BatchPrefetcher {
 public:
  /// Steps `first` … `end` − 1; the first one is begun at once.
  BatchPrefetcher(BatchSource source, std::int64_t first, std::int64_t end);

  /// The batch of the next step. At most `end` − `first` calls.
  Batch next();

 private:
  void begin();

  BatchSource source_;
  std::int64_t next_, end_;
  std::future<Batch> ahead_;  // last: its destructor waits while the source still lives
};

}  // namespace mformer
