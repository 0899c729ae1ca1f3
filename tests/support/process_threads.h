#pragma once

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <exception>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <thread>
#include <tuple>
#include <vector>

#include "core/parallel/process_group.h"

namespace mformer::testing {

/// Ranks that are threads of one process: what they send is copied into a mailbox.
class Mailboxes {
 public:
  /// From now on nothing that this rank sends arrives.
  void silence(int rank) {
    const std::lock_guard lock(mutex_);
    silent_.insert(rank);
  }

  void put(int from, int to, int lane, const Transfer& what) {
    const std::lock_guard lock(mutex_);
    if (silent_.count(from) != 0) return;
    boxes_[{from, to, lane}].emplace_back(what.data, what.data + what.bytes);
  }

  /// False where nothing has come yet. The sizes must agree, as MPI wants it.
  bool take(int from, int to, int lane, const Transfer& where) {
    const std::lock_guard lock(mutex_);
    auto& box = boxes_[{from, to, lane}];
    if (box.empty()) return false;
    EXPECT_EQ(static_cast<std::int64_t>(box.front().size()), where.bytes) << "rank " << from << " to rank " << to;
    std::memcpy(where.data, box.front().data(), std::min<std::size_t>(box.front().size(), where.bytes));
    box.pop_front();
    return true;
  }

 private:
  std::mutex mutex_;
  std::map<std::tuple<int, int, int>, std::deque<std::vector<std::byte>>> boxes_;
  std::set<int> silent_;
};

class ThreadTransport : public Transport {
 public:
  ThreadTransport(Mailboxes& boxes, int rank, int size) : boxes_(boxes), rank_(rank), size_(size) {}
  int rank() const override { return rank_; }
  int size() const override { return size_; }
  void leave() override {}
  std::unique_ptr<Exchange> begin(int lane, const std::vector<Transfer>& sends,
                                  const std::vector<Transfer>& receives) override {
    for (const Transfer& one : sends) boxes_.put(rank_, one.peer, lane, one);
    return std::make_unique<Arrival>(boxes_, rank_, lane, receives);
  }

 private:
  class Arrival : public Exchange {
   public:
    Arrival(Mailboxes& boxes, int rank, int lane, std::vector<Transfer> left)
        : boxes_(boxes), rank_(rank), lane_(lane), left_(std::move(left)) {}
    std::int64_t advance() override {
      const std::size_t before = left_.size();
      std::vector<Transfer> still;
      for (const Transfer& one : left_) {
        if (!boxes_.take(one.peer, rank_, lane_, one)) still.push_back(one);
      }
      left_ = still;
      return static_cast<std::int64_t>(before - left_.size());
    }
    std::vector<int> waits_for() const override {
      std::set<int> peers;
      for (const Transfer& one : left_) peers.insert(one.peer);
      return {peers.begin(), peers.end()};
    }

   private:
    Mailboxes& boxes_;
    int rank_, lane_;
    std::vector<Transfer> left_;
  };

  Mailboxes& boxes_;
  int rank_, size_;
};

/// Whether it only says that another rank is gone.
inline bool is_about_another(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const ProcessError&) {
    return true;
  } catch (...) {
    return false;
  }
}

/// Runs `work` once for each rank, each in a thread of its own; returns when all have ended. Throws the first error
/// that there is, one of a rank that was not left alone before others.
inline void as_processes(int size, const std::function<void(ProcessGroup&)>& work, Mailboxes& boxes,
                         const ProcessGroupOptions& options = {.timeout = 60}) {
  std::vector<std::thread> threads;
  std::vector<std::exception_ptr> errors(size);
  for (int rank = 0; rank < size; ++rank) {
    threads.emplace_back([&, rank] {
      at::set_num_threads(1);  // of this thread's own work: as many ranks as cores and more run side by side
      ProcessGroup group(std::make_unique<ThreadTransport>(boxes, rank, size), options);
      try {
        work(group);
      } catch (...) {
        errors[rank] = std::current_exception();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::stable_partition(errors.begin(), errors.end(), [](const auto& e) { return e && !is_about_another(e); });
  for (const std::exception_ptr& error : errors) {
    if (error) std::rethrow_exception(error);
  }
}

inline void as_processes(int size, const std::function<void(ProcessGroup&)>& work) {
  Mailboxes boxes;
  as_processes(size, work, boxes);
}

}  // namespace mformer::testing
