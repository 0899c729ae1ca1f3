#pragma once

#include <ATen/core/Tensor.h>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "core/parallel/transport.h"
#include "modules_registry/error.h"

namespace mformer {

/// Another process of the run has ended, hangs, or does other work: nothing can be computed together any more.
class ProcessError : public Error {
 public:
  using Error::Error;
};

struct ProcessGroupOptions {
  /// Seconds that an operation waits for others without a byte arriving; then it throws.
  double timeout = 600;
  /// Asked while an operation waits. Once it says true, `grace` seconds without progress are enough: a launcher that
  /// has lost one process asks the others to stop, and kills them soon after.
  std::function<bool()> should_stop = {};
  double grace = 0.3;
};

/// Operations in different lanes don't wait for each other; within a lane every rank must begin the same operations in
/// the same order.
enum class Lane { forward = 0, gradients = 1 };

/// What the processes of a run do together. Every rank calls the same operations, with equal shapes, in the same order;
/// tensors lie on the CPU and are contiguous. Whatever the transport does, sums run in the order of ranks, element by
/// element in the tensor's own dtype: the same values give the same bits in every run, on every rank.
///
/// All transfers are made by a thread of the group's own, so that what is begun goes on while the caller computes.
/// Calls may come from any thread. An operation that can't be finished throws ProcessError, and so does every one after
/// it.
class ProcessGroup {
 public:
  ProcessGroup(std::unique_ptr<Transport> transport, ProcessGroupOptions options = {});
  /// Ends the thread; what is under way is dropped.
  ~ProcessGroup();
  ProcessGroup(const ProcessGroup&) = delete;
  ProcessGroup& operator=(const ProcessGroup&) = delete;

  int rank() const { return rank_; }
  int size() const { return size_; }
  /// Whether this is the process that writes and prints.
  bool is_first() const { return rank_ == 0; }

  struct Job;
  /// An operation under way.
  class Work {
   public:
    Work() = default;
    /// Until it is done; throws ProcessError where it failed. Needed before the result is read. May be called again.
    void wait() const;

   private:
    friend class ProcessGroup;
    explicit Work(std::shared_ptr<Job> job) : job_(std::move(job)) {}
    std::shared_ptr<Job> job_;
  };

  /// Begins to replace `x` (float32, float64 or int64) by the sum over ranks. It is neither read nor written by the
  /// caller until wait().
  Work begin_sum(const at::Tensor& x, Lane lane = Lane::forward);
  /// The same, done when it returns.
  void all_reduce_sum(const at::Tensor& x) { begin_sum(x).wait(); }

  /// Everybody gets `x` of rank `root`, in place; any dtype.
  void broadcast(const at::Tensor& x, int root = 0);

  /// [size, ...] the `x` of all ranks, in their order; any dtype.
  at::Tensor all_gather(const at::Tensor& x);

  /// rows [n, ...]: the first send_counts[0] go to rank 0, the next send_counts[1] to rank 1, and so on; what comes
  /// back are receive_counts[0] rows of rank 0, then receive_counts[1] of rank 1, … . Counts may be 0, and are [size]
  /// each; what one rank sends to another is what that one receives. Any dtype.
  at::Tensor all_to_all(const at::Tensor& rows, const std::vector<std::int64_t>& send_counts,
                        const std::vector<std::int64_t>& receive_counts);

  /// What all ranks say, in their order; any bytes.
  std::vector<std::string> all_gather_text(const std::string& text);

  /// Returns once every rank has come here.
  void barrier();

  /// Sent by this rank to others so far.
  std::int64_t bytes_sent() const { return bytes_sent_; }

  /// Every rank calls it at the end of its work; no other operation may follow.
  void leave();

 private:
  Work begin(Lane lane, std::vector<std::function<void(Job&)>> steps);
  void run();
  bool advance(Job& job);
  void begin_step(Job& job);
  void give_up(const std::string& what, const std::string& hint);
  std::string names_of(const std::vector<int>& ranks) const;

  std::unique_ptr<Transport> transport_;
  ProcessGroupOptions options_;
  int rank_ = 0, size_ = 1;
  std::atomic<std::int64_t> bytes_sent_{0};

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::shared_ptr<Job>> lanes_[2];
  std::string broken_, broken_hint_;  ///< Why nothing goes on any more.
  bool ends_ = false;
  std::thread thread_;  // last: it uses all the others
};

/// Throws ProcessError on every rank unless all say the same `what` they have: "the data of task 'german'", say. The
/// sentence names the ranks that differ from rank 0.
void require_same(ProcessGroup& group, const std::string& what, const std::string& value, const std::string& hint);

}  // namespace mformer
