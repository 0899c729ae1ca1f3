#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core/decoding/decoding_view.h"
#include "core/serving/running_text.h"

namespace mformer {

struct SchedulerLimits {
  std::int64_t cache_bytes = std::int64_t{1} << 30;  ///< Of the keys and values of all texts that run.
  std::size_t running = 64;                          ///< Texts at once,
  std::size_t waiting = 256;                         ///< and so many more that wait for their turn.
  std::int64_t texts() const { return static_cast<std::int64_t>(running + waiting); }
};

/// What a scheduler did so far, and is doing.
struct SchedulerFigures {
  std::int64_t running = 0, waiting = 0;
  std::int64_t cache_bytes = 0;    ///< Reserved for the texts that run.
  std::int64_t prompt_tokens = 0;  ///< Read of prompts.
  std::int64_t tokens = 0;         ///< Drawn.
  std::int64_t steps = 0;
  std::int64_t ended = 0, failed = 0;  ///< Texts, in good order or by an error.
  std::int64_t unwanted = 0;           ///< Texts whose asker went before their end.
  std::int64_t refused = 0;            ///< Not taken.
};

/// Whether a text was taken.
enum class Admission {
  taken,
  too_large,  ///< Its keys and values alone are beyond the limit.
  full,       ///< Too many wait.
  closing
};

/// Runs the texts of many askers through one model at once (continuous batching): one thread calls run(), and in each
/// step every text that writes gets its next token, and one that is still being read a piece of its prompt, so that a
/// long prompt stops nobody. Texts join between steps, in the order in which they came, once there is memory for all
/// that they may need. Products with weights take the tokens of all texts together (core/model/parts_forward.h), on the
/// CPU; on another device the texts of a step go through the model one by one.
///
/// A text gets what MixtureDecoder gives it alone, but for rounding: tokens that are as likely as each other to the
/// last digits may change places.
class Scheduler {
 public:
  /// `views`: the hypotheses of one model (decoding_views). `vocabulary`: ids that the tokenizer has.
  Scheduler(std::vector<DecodingView> views, std::int64_t vocabulary, const SchedulerLimits& limits);

  /// Any thread. Unless it is taken, the observer is not called. Throws UsageError for a prompt that is empty or has an
  /// id that the model does not.
  Admission submit(TextRequest request, std::shared_ptr<TextObserver> observer);

  /// Bytes of keys and values that a text may need.
  std::int64_t bytes_of(const TextRequest& request) const;

  /// One step; false where there was nothing to do. For run() and tests.
  bool step();

  /// Steps until close() was called and every text has ended.
  void run();

  /// Takes no more; what waits is ended at once, what runs may end until `limit`. Any thread.
  void close(std::chrono::steady_clock::time_point limit);

  SchedulerFigures figures() const;

 private:
  struct Waiting {
    TextRequest request;
    std::shared_ptr<TextObserver> observer;
    std::int64_t bytes;
  };
  struct Running {
    std::unique_ptr<RunningText> text;
    std::int64_t bytes;
    std::int64_t turn = 0;  ///< The step in which its prompt was read last.
    bool ended = false;
  };
  void join();
  void leave_unwanted();
  std::vector<Running*> chosen();
  static void tell_routing(std::size_t hypothesis, const std::vector<Running*>& texts,
                           const std::vector<BlockTrace>& layers);
  void forward(std::size_t hypothesis, const std::vector<Running*>& texts);
  void finish(const std::vector<Running*>& texts);
  void tell(Running& one, std::string problem);
  void end(Running& one, TextEnd reason, const std::string& problem = "");
  void forget_ended();

  std::vector<DecodingView> views_;
  std::int64_t vocabulary_, rows_;  ///< Ids that the tokenizer has, and the embedding.
  SchedulerLimits limits_;
  std::vector<std::int64_t> token_bytes_;  ///< Of each view.
  std::vector<std::unique_ptr<Running>> running_;
  mutable std::mutex mutex_;  ///< Of all below.
  std::condition_variable changed_;
  std::deque<Waiting> waiting_;
  SchedulerFigures figures_;
  bool closing_ = false;
  std::chrono::steady_clock::time_point limit_;
};

}  // namespace mformer
