#include "core/training/batch_prefetcher.h"

#include <utility>

#include "modules_registry/error.h"

namespace mformer {

BatchPrefetcher::BatchPrefetcher(BatchSource source, std::int64_t first, std::int64_t end)
    : source_(std::move(source)), next_(first), end_(end) {
  begin();
}

Batch BatchPrefetcher::next() {
  if (!ahead_.valid()) throw Error("there is no batch after step " + std::to_string(end_));
  Batch batch = ahead_.get();
  begin();
  return batch;
}

void BatchPrefetcher::begin() {
  if (next_ >= end_) return;
  // Where no thread can be had the batch is made when it is asked for.
  constexpr auto when = std::launch::async | std::launch::deferred;
  ahead_ = std::async(when, [this, step = next_++] { return source_(step); });
}

}  // namespace mformer
