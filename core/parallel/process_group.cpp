#include "core/parallel/process_group.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <numeric>

namespace mformer {
namespace {

using Clock = std::chrono::steady_clock;

std::int64_t now_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now().time_since_epoch()).count();
}

double passed_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

std::byte* bytes_of(const at::Tensor& x) {
  return static_cast<std::byte*>(x.data_ptr());
}

/// The first of the elements that rank `rank` of `size` adds up, of `count`.
std::int64_t slice_begin(std::int64_t count, int rank, int size) {
  return count * rank / size;
}

template <typename Number>
void add(std::byte* to, const std::byte* from, std::int64_t count) {
  auto* sum = reinterpret_cast<Number*>(to);
  const auto* part = reinterpret_cast<const Number*>(from);
  for (std::int64_t i = 0; i < count; ++i) sum[i] += part[i];
}

/// By plain loops: LibTorch's own would start its threads a second time, beside those of the caller.
void add(at::ScalarType type, std::byte* to, const std::byte* from, std::int64_t count) {
  if (type == at::kFloat) return add<float>(to, from, count);
  if (type == at::kDouble) return add<double>(to, from, count);
  add<std::int64_t>(to, from, count);
}

void require_usable(const at::Tensor& x) {
  if (x.device().is_cpu() && x.is_contiguous()) return;
  throw Error("processes exchange contiguous tensors on the CPU only");
}

void require_summable(const at::Tensor& x) {
  require_usable(x);
  const at::ScalarType type = x.scalar_type();
  if (type != at::kFloat && type != at::kDouble && type != at::kLong) {
    throw Error("processes add up float32, float64 and int64 only");
  }
}

}  // namespace

/// Steps, one after the other; each fills in what is to be transferred, and may first look at what has come.
struct ProcessGroup::Job {
  int lane = 0;
  std::vector<std::function<void(Job&)>> steps;
  std::vector<Transfer> sends, receives;  ///< Of the step under way.
  std::vector<at::Tensor> held;           ///< Memory that the transfers use.

  ProcessGroupOptions waits;
  std::atomic<std::int64_t> seen{0};  ///< When the thread last came to it; 0 = not yet.

  std::size_t next = 0;
  std::unique_ptr<Exchange> exchange;
  Clock::time_point moved;

  std::mutex mutex;
  std::condition_variable ended;
  bool done = false;
  std::string what, hint;  ///< Of a failure.

  /// Whether the thread does not come back from the transport: Open MPI, say, waits for ever to tell its launcher of a
  /// connection that broke. What is waited for then is past helping.
  bool is_stuck() const {
    if (seen == 0) return false;
    const double away = static_cast<double>(now_ms() - seen) / 1000;
    const bool stops = waits.should_stop && waits.should_stop();
    return away > (stops ? waits.grace : waits.timeout);
  }

  void end(const std::string& failure = "", const std::string& advice = "") {
    {
      const std::lock_guard lock(mutex);
      done = true, what = failure, hint = advice;
    }
    ended.notify_all();
  }
};

void ProcessGroup::Work::wait() const {
  if (job_ == nullptr) return;
  std::unique_lock lock(job_->mutex);
  while (!job_->ended.wait_for(lock, std::chrono::milliseconds(50), [&] { return job_->done; })) {
    if (!job_->is_stuck()) continue;
    throw ProcessError(
        "the connection to another process broke: it has ended, or hangs",
        "look at what it said; the same command, with any number of processes, goes on from what is saved");
  }
  if (!job_->what.empty()) throw ProcessError(job_->what, job_->hint);
}

ProcessGroup::ProcessGroup(std::unique_ptr<Transport> transport, ProcessGroupOptions options)
    : transport_(std::move(transport)),
      options_(std::move(options)),
      rank_(transport_->rank()),
      size_(transport_->size()),
      thread_([this] { run(); }) {}

ProcessGroup::~ProcessGroup() {
  {
    const std::lock_guard lock(mutex_);
    ends_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

ProcessGroup::Work ProcessGroup::begin(Lane lane, std::vector<std::function<void(Job&)>> steps) {
  auto job = std::make_shared<Job>();
  job->lane = static_cast<int>(lane);
  job->steps = std::move(steps);
  job->waits = options_;
  {
    const std::lock_guard lock(mutex_);
    if (!broken_.empty()) throw ProcessError(broken_, broken_hint_);
    lanes_[job->lane].push_back(job);
  }
  changed_.notify_all();
  return Work(std::move(job));
}

/// The group's thread: moves the first operation of each lane on. Between two looks it yields the core at first, as
/// most waits are short, and sleeps once they are not.
void ProcessGroup::run() {
  Clock::time_point moved = Clock::now();
  std::unique_lock lock(mutex_);
  while (!ends_) {
    std::vector<std::shared_ptr<Job>> heads;
    for (const auto& lane : lanes_) {
      if (!lane.empty()) heads.push_back(lane.front());
    }
    if (heads.empty()) {
      changed_.wait(lock, [&] { return ends_ || !lanes_[0].empty() || !lanes_[1].empty(); });
      moved = Clock::now();
      continue;
    }
    lock.unlock();
    for (const auto& job : heads) {
      job->seen = now_ms();
      try {
        if (advance(*job)) moved = Clock::now();
      } catch (const Error& failure) {
        give_up(failure.what(), failure.hint());
        break;
      } catch (const std::exception& failure) {
        give_up(failure.what(), "");
        break;
      }
    }
    if (const double idle = passed_since(moved); idle < 2e-3) {
      std::this_thread::yield();
    } else {
      std::this_thread::sleep_for(std::chrono::microseconds(idle < 0.1 ? 50 : 500));
    }
    lock.lock();
    for (auto& lane : lanes_) {
      if (!lane.empty() && lane.front()->next > lane.front()->steps.size()) {
        lane.front()->end();
        lane.pop_front();
      }
    }
  }
  for (auto& lane : lanes_) {
    for (const auto& job : lane) job->end("the exchange with other processes was ended");
    lane.clear();
  }
}

/// True where something moved. Job::next is one more than the number of steps when all are done.
bool ProcessGroup::advance(Job& job) {
  if (job.next > job.steps.size()) return false;
  if (job.exchange == nullptr) {
    begin_step(job);
    return true;
  }
  if (job.exchange->advance() > 0) job.moved = Clock::now();
  const std::vector<int> missing = job.exchange->waits_for();
  if (missing.empty()) {
    job.exchange.reset();
    begin_step(job);
    return true;
  }
  const double idle = passed_since(job.moved);
  const bool stops = options_.should_stop && options_.should_stop();
  if (stops && idle > options_.grace) {
    throw ProcessError("stopped while " + names_of(missing) + " did not answer",
                       "the same command, with any number of processes, goes on from what is saved");
  }
  if (idle > options_.timeout) {
    throw ProcessError(names_of(missing) + " sent nothing for " + std::to_string(std::lround(options_.timeout)) +
                           " s: ended, or hanging",
                       "look at what that process said and at its machine; the same command, with any number of "
                       "processes, goes on from what is saved");
  }
  return false;
}

void ProcessGroup::begin_step(Job& job) {
  if (job.next == job.steps.size()) {
    ++job.next;
    return;
  }
  job.sends.clear(), job.receives.clear();
  job.steps[job.next++](job);
  const auto other = [this](const Transfer& one) { return one.peer == rank_ || one.bytes == 0; };
  job.sends.erase(std::remove_if(job.sends.begin(), job.sends.end(), other), job.sends.end());
  job.receives.erase(std::remove_if(job.receives.begin(), job.receives.end(), other), job.receives.end());
  for (const Transfer& one : job.sends) bytes_sent_ += one.bytes;
  if (job.sends.empty() && job.receives.empty()) return;  // the next step follows at once
  job.exchange = transport_->begin(job.lane, job.sends, job.receives);
  job.moved = Clock::now();
}

void ProcessGroup::give_up(const std::string& what, const std::string& hint) {
  const std::lock_guard lock(mutex_);
  broken_ = what, broken_hint_ = hint;
  for (auto& lane : lanes_) {
    for (const auto& job : lane) {
      job->exchange.reset();
      job->end(what, hint);
    }
    lane.clear();
  }
}

std::string ProcessGroup::names_of(const std::vector<int>& ranks) const {
  std::string names = ranks.size() == 1 ? "process " : "processes ";
  for (std::size_t i = 0; i < ranks.size(); ++i) names += (i == 0 ? "" : ", ") + std::to_string(ranks[i]);
  return names + " of " + std::to_string(size_) + " (counted from 0)";
}

/// Every rank adds up a slice of its own, of which it gets everybody's part, and sends the sum to everybody.
ProcessGroup::Work ProcessGroup::begin_sum(const at::Tensor& x, Lane lane) {
  require_summable(x);
  if (size_ == 1 || x.numel() == 0) return {};
  const std::int64_t count = x.numel(), width = static_cast<std::int64_t>(x.element_size());
  const std::int64_t first = slice_begin(count, rank_, size_), own = slice_begin(count, rank_ + 1, size_) - first;
  const auto slice = [=, size = size_](int rank) {
    const std::int64_t begin = slice_begin(count, rank, size), end = slice_begin(count, rank + 1, size);
    return Transfer{rank, bytes_of(x) + begin * width, (end - begin) * width};
  };
  const auto scatter = [=, this](Job& job) {
    job.held = {x, at::empty({size_, own}, x.options())};
    for (int rank = 0; rank < size_; ++rank) {
      job.sends.push_back(slice(rank));
      job.receives.push_back({rank, bytes_of(job.held[1]) + rank * own * width, own * width});
    }
  };
  const auto gather = [=, this](Job& job) {
    std::byte* parts = bytes_of(job.held[1]);
    std::memcpy(parts + rank_ * own * width, slice(rank_).data, own * width);
    for (int rank = 1; rank < size_; ++rank) add(x.scalar_type(), parts, parts + rank * own * width, own);
    std::memcpy(slice(rank_).data, parts, own * width);
    for (int rank = 0; rank < size_; ++rank) {
      job.sends.push_back(slice(rank_));
      job.sends.back().peer = rank;
      job.receives.push_back(slice(rank));
    }
  };
  return begin(lane, {scatter, gather});
}

void ProcessGroup::broadcast(const at::Tensor& x, int root) {
  require_usable(x);
  if (size_ == 1) return;
  begin(Lane::forward, {[=, this](Job& job) {
          job.held = {x};
          const auto bytes = static_cast<std::int64_t>(x.nbytes());
          if (rank_ != root) job.receives.push_back({root, bytes_of(x), bytes});
          for (int rank = 0; rank_ == root && rank < size_; ++rank) job.sends.push_back({rank, bytes_of(x), bytes});
        }})
      .wait();
}

at::Tensor ProcessGroup::all_gather(const at::Tensor& x) {
  require_usable(x);
  std::vector<std::int64_t> shape = x.sizes().vec();
  shape.insert(shape.begin(), size_);
  const at::Tensor all = at::empty(shape, x.options());
  const auto bytes = static_cast<std::int64_t>(x.nbytes());
  std::memcpy(bytes_of(all) + rank_ * bytes, bytes_of(x), bytes);
  begin(Lane::forward, {[=, this](Job& job) {
          job.held = {x, all};
          for (int rank = 0; rank < size_; ++rank) {
            job.sends.push_back({rank, bytes_of(x), bytes});
            job.receives.push_back({rank, bytes_of(all) + rank * bytes, bytes});
          }
        }})
      .wait();
  return all;
}

at::Tensor ProcessGroup::all_to_all(const at::Tensor& rows, const std::vector<std::int64_t>& send_counts,
                                    const std::vector<std::int64_t>& receive_counts) {
  require_usable(rows);
  const auto sum = [](const std::vector<std::int64_t>& counts) {
    return std::accumulate(counts.begin(), counts.end(), std::int64_t{0});
  };
  const auto ranks = static_cast<std::size_t>(size_);
  if (send_counts.size() != ranks || receive_counts.size() != ranks || sum(send_counts) != rows.size(0) ||
      send_counts[rank_] != receive_counts[rank_]) {
    throw Error("what is sent to each process does not add up to the rows");
  }
  std::vector<std::int64_t> shape = rows.sizes().vec();
  shape[0] = 1;
  const std::int64_t width = std::accumulate(shape.begin(), shape.end(), static_cast<std::int64_t>(rows.element_size()),
                                             std::multiplies<std::int64_t>());
  shape[0] = sum(receive_counts);
  const at::Tensor received = at::empty(shape, rows.options());
  std::vector<Transfer> sends, receives;
  std::int64_t sent = 0, came = 0;
  for (int rank = 0; rank < size_; ++rank) {
    sends.push_back({rank, bytes_of(rows) + sent * width, send_counts[rank] * width});
    receives.push_back({rank, bytes_of(received) + came * width, receive_counts[rank] * width});
    sent += send_counts[rank], came += receive_counts[rank];
  }
  if (sends[rank_].bytes > 0) std::memcpy(receives[rank_].data, sends[rank_].data, sends[rank_].bytes);
  begin(Lane::forward, {[=](Job& job) {
          job.held = {rows, received};
          job.sends = sends, job.receives = receives;
        }})
      .wait();
  return received;
}

std::vector<std::string> ProcessGroup::all_gather_text(const std::string& text) {
  const at::Tensor length = at::empty({1}, at::kLong).fill_(static_cast<std::int64_t>(text.size()));
  const at::Tensor lengths = all_gather(length);
  const auto* sizes = lengths.const_data_ptr<std::int64_t>();
  const std::int64_t longest = *std::max_element(sizes, sizes + size_);
  const at::Tensor padded = at::empty({longest}, at::kByte).fill_(0);
  if (!text.empty()) std::memcpy(padded.data_ptr(), text.data(), text.size());
  const at::Tensor all = all_gather(padded);
  std::vector<std::string> texts;
  for (int rank = 0; rank < size_; ++rank) {
    texts.emplace_back(reinterpret_cast<const char*>(bytes_of(all)) + rank * longest, sizes[rank]);
  }
  return texts;
}

void ProcessGroup::barrier() {
  all_gather(at::empty({1}, at::kByte).fill_(0));
}

void ProcessGroup::leave() {
  barrier();
  begin(Lane::forward, {[this](Job&) { transport_->leave(); }}).wait();
}

void require_same(ProcessGroup& group, const std::string& what, const std::string& value, const std::string& hint) {
  const std::vector<std::string> all = group.all_gather_text(value);
  std::string others;
  for (std::size_t rank = 1; rank < all.size(); ++rank) {
    if (all[rank] != all[0]) others += (others.empty() ? "" : ", ") + std::to_string(rank);
  }
  if (others.empty()) return;
  throw ProcessError(what + " of process " + others + " is another than that of process 0", hint);
}

}  // namespace mformer
