#include "core/training/batch.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

#include "modules_registry/error.h"

namespace mformer {
namespace {

void set_row(Batch& batch, std::int64_t row, const Window& window) {
  const auto context = static_cast<std::int64_t>(window.inputs.size());
  std::copy(window.inputs.begin(), window.inputs.end(), batch.inputs.mutable_data_ptr<std::int64_t>() + row * context);
  std::copy(window.targets.begin(), window.targets.end(),
            batch.targets.mutable_data_ptr<std::int64_t>() + row * context);
  batch.lengths[row] = window.tokens;
  batch.starts[row] = window.starts;
}

Batch empty_batch(std::int64_t rows, std::int64_t context) {
  return {at::empty({rows, context}, at::kLong),
          at::empty({rows, context}, at::kLong),
          {},
          std::vector<std::int64_t>(rows, context),
          std::vector<std::vector<std::int64_t>>(rows)};
}

std::int64_t memory_size(const PackedWindows& windows, double share) {
  const double all = static_cast<double>(windows.size());
  return std::clamp<std::int64_t>(std::llround(share * all), 1, windows.size());
}

/// The place of window `number` of a memory of `size` windows.
std::int64_t memory_window(const PackedWindows& windows, std::int64_t size, std::int64_t number) {
  return number * windows.size() / size;
}

Window window_among(const std::vector<PackedWindows>& sets, const std::vector<std::int64_t>& sizes,
                    std::int64_t number) {
  std::size_t set = 0;
  while (number >= sizes[set]) number -= sizes[set++];
  return sets[set].window(memory_window(sets[set], sizes[set], number));
}

}  // namespace

Batch batch_of(const PackedWindows& windows, const std::vector<std::int64_t>& indices) {
  Batch batch = empty_batch(static_cast<std::int64_t>(indices.size()), windows.context());
  for (std::size_t row = 0; row < indices.size(); ++row) {
    set_row(batch, static_cast<std::int64_t>(row), windows.window(indices[row]));
  }
  return batch;
}

Batch part_of_batch(const Batch& batch, std::int64_t first, std::int64_t count) {
  Batch part = batch;
  part.inputs = batch.inputs.narrow(0, first, count), part.targets = batch.targets.narrow(0, first, count);
  if (batch.replay.defined()) part.replay = batch.replay.narrow(0, first, count);
  part.lengths.assign(batch.lengths.begin() + first, batch.lengths.begin() + first + count);
  part.starts.assign(batch.starts.begin() + first, batch.starts.begin() + first + count);
  return part;
}

std::vector<std::int64_t> memory_of(const PackedWindows& windows, double share) {
  std::vector<std::int64_t> numbers(memory_size(windows, share));
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    numbers[i] = memory_window(windows, static_cast<std::int64_t>(numbers.size()), static_cast<std::int64_t>(i));
  }
  return numbers;
}

BatchSource shuffled_batches(PackedWindows windows, std::uint64_t seed, std::int64_t batch_size) {
  return [windows = std::move(windows), seed, batch_size](std::int64_t step) {
    return batch_of(windows, windows.batch_indices(seed, step, batch_size));
  };
}

BatchSource batches_with_replay(PackedWindows windows, std::vector<PackedWindows> others, double share,
                                std::uint64_t seed, std::int64_t batch_size, double memory) {
  if (others.empty()) throw Error("there is nothing to replay", "name earlier data, or leave replay out");
  std::vector<std::int64_t> sizes;
  for (const PackedWindows& set : others) sizes.push_back(memory_size(set, memory));
  return [windows = std::move(windows), others = std::move(others), sizes, share, seed, batch_size](std::int64_t step) {
    Batch batch = batch_of(windows, windows.batch_indices(seed, step, batch_size));
    batch.replay = at::zeros({batch_size}, at::kBool);
    std::seed_seq words{seed, seed >> 32U, static_cast<std::uint64_t>(step), std::uint64_t{0x7265706c6179}};
    std::mt19937_64 random(words);
    const std::int64_t choices = std::accumulate(sizes.begin(), sizes.end(), std::int64_t{0});
    for (std::int64_t row = 0; row < batch_size; ++row) {
      // Integer arithmetic only: the standard's distributions differ between libraries.
      const bool replayed = static_cast<double>(random() >> 11U) * 0x1.0p-53 < share;
      const auto index = static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(choices));
      if (!replayed) continue;
      set_row(batch, row, window_among(others, sizes, index));
      batch.replay.mutable_data_ptr<bool>()[row] = true;
    }
    return batch;
  };
}

}  // namespace mformer
