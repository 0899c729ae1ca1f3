#include "core/workspace/parts_ahead.h"

#include <ATen/Parallel.h>
#include <omp.h>

#include <system_error>

namespace mformer {

PartsAhead::PartsAhead(std::vector<Make> objects) : objects_(std::move(objects)) {
  try {
    thread_ = std::thread([this] { make_all(); });
  } catch (const std::system_error&) {
  }
}

PartsAhead::~PartsAhead() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

NamedParts PartsAhead::next() {
  Made made;
  if (thread_.joinable()) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return made_.has_value(); });
    made = std::move(*made_);
    made_.reset();
    changed_.notify_all();
  } else {
    made = make(taken_);
  }
  ++taken_;
  if (made.error) std::rethrow_exception(made.error);
  return std::move(made.parts);
}

PartsAhead::Made PartsAhead::make(std::size_t i) {
  try {
    return {objects_[i](), nullptr};
  } catch (...) {
    return {{}, std::current_exception()};
  }
}

void PartsAhead::make_all() {
  // One core is the caller's. LibTorch sets the number once for each thread, at its first question.
  at::get_num_threads();
  omp_set_num_threads(1);
  for (std::size_t i = 0; i < objects_.size(); ++i) {
    Made made = make(i);
    const bool failed = made.error != nullptr;
    std::unique_lock lock(mutex_);
    if (stopped_) return;
    made_ = std::move(made);
    changed_.notify_all();
    changed_.wait(lock, [this] { return stopped_ || !made_.has_value(); });
    if (stopped_ || failed) return;
  }
}

}  // namespace mformer
