#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "core/model/losses.h"
#include "core/text/packing.h"

namespace mformer {

/// What one training step sees, or with TrainOptions::accumulate a part of it.
/// On the CPU; what computes with it moves what it needs.
struct Batch {
  at::Tensor inputs;   ///< [batch, context], int64
  at::Tensor targets;  ///< [batch, context], int64, −100 where there is no loss
  at::Tensor replay;   ///< [batch], bool: rows of earlier tasks' data; undefined where there are none
  std::vector<std::int64_t> lengths = {};  ///< [batch] inputs of each row that are tokens; the rest is padding
  /// [batch] of each row the positions whose target is the first token of a document, ascending.
  std::vector<std::vector<std::int64_t>> starts = {};
  // The trainer fills these in.
  std::int64_t step = 0;     ///< The training step, from 0, that sees it.
  std::int64_t number = 0;   ///< The number that its source was asked for: step · accumulate + its place in the step.
  std::int64_t counted = 1;  ///< Targets that count in all batches of the step, at least 1: what a sum is divided by.
  double share = 1;          ///< Of the step: 1 / accumulate. What a mean over this batch's tokens counts for.
  WholeBatch whole = {};     ///< The processes that share the batch, of which these are the rows of one.
};

/// The windows `first` … `first` + `count` − 1 of a batch.
Batch part_of_batch(const Batch& batch, std::int64_t first, std::int64_t count);

/// Batch number `number` (from 0): a pure function of it, so that a resumed run sees what it would have seen. One step
/// takes TrainOptions::accumulate of them in a row.
using BatchSource = std::function<Batch(std::int64_t number)>;

/// The windows of these indices as one batch.
Batch batch_of(const PackedWindows& windows, const std::vector<std::int64_t>& indices);

/// Shuffled windows of one data set.
BatchSource shuffled_batches(PackedWindows windows, std::uint64_t seed, std::int64_t batch_size);

/// The windows that a memory of this share of a data set holds, evenly spread, at least one: their numbers, ascending.
std::vector<std::int64_t> memory_of(const PackedWindows& windows, double share);

/// The same, but in each batch a row is, with probability `share`, a window of one of `others` instead: of all their
/// windows that a memory_of() share `memory` holds, each equally likely. Which rows, and which windows, depends on
/// (seed, step) alone. Throws Error without `others`.
BatchSource batches_with_replay(PackedWindows windows, std::vector<PackedWindows> others, double share,
                                std::uint64_t seed, std::int64_t batch_size, double memory = 1);

}  // namespace mformer
