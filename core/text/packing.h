#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "core/text/token_cache.h"

namespace mformer {

/// One row of a batch.
struct Window {
  std::vector<int64_t> inputs;       ///< [context] ids
  std::vector<int64_t> targets;      ///< [context] the id that follows each input, or -100 where there is no loss
  int64_t tokens = 0;                ///< inputs that are tokens of the data; those after them are padding
  std::vector<int64_t> starts = {};  ///< positions whose target is the first token of a document, ascending
};

/// What happens to the tokens after the last whole window.
enum class LastWindow {
  drop,  ///< training: every window is full
  pad    ///< evaluation: every target counts once; inputs are padded with id 0, targets with -100
};

/// A split seen as windows of `context` tokens: the documents in a row, each ended by end-of-text, cut every `context`
/// tokens. Each token but the first is the target of exactly one window (two neighbours share one token). Immutable.
class PackedWindows {
 public:
  /// The target where there is no loss.
  static constexpr int64_t kIgnore = -100;

  /// Throws UsageError when context < 1, and Error when there is no window: fewer than context + 1 tokens with `drop`,
  /// fewer than 2 with `pad`.
  PackedWindows(TokenData data, int64_t context, LastWindow last);

  int64_t size() const { return windows_; }
  int64_t context() const { return context_; }

  /// Window `index`, 0 ≤ index < size(); throws Error otherwise.
  Window window(int64_t index) const;

  /// Whether a target of window `index` counts: not all of them are a prompt's.
  bool has_target(int64_t index) const;
  /// The first of windows `index`, index + 1, …, going on from the first after the last, that has_target(); nothing
  /// where none has.
  std::optional<int64_t> next_with_target(int64_t index) const;

  /// The windows of training step `step` (from 0), a pure function of (seed, step): every epoch visits all windows once
  /// in an order of its own, and batches run on from one epoch into the next. Nothing is stored.
  std::vector<int64_t> batch_indices(uint64_t seed, int64_t step, int64_t batch_size) const;

  /// Where window number `position` of an epoch's order lies: a permutation of 0 … size() - 1 for each (seed, epoch).
  int64_t shuffled(uint64_t seed, int64_t epoch, int64_t position) const;

 private:
  /// The inputs of a window and the target of the last.
  std::vector<uint32_t> tokens_of(int64_t index) const;

  TokenData data_;
  int64_t context_;
  int64_t windows_;
};

}  // namespace mformer
