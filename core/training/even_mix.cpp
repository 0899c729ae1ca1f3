#include "core/training/even_mix.h"

#include <ATen/ops/cat.h>

#include <random>

namespace mformer {
namespace {

void append(Batch& batch, const Batch& row, std::vector<at::Tensor>& inputs, std::vector<at::Tensor>& targets) {
  inputs.push_back(row.inputs);
  targets.push_back(row.targets);
  batch.lengths.insert(batch.lengths.end(), row.lengths.begin(), row.lengths.end());
  batch.starts.insert(batch.starts.end(), row.starts.begin(), row.starts.end());
}

}  // namespace

BatchSource even_mix(std::vector<PackedWindows> sets, std::uint64_t seed, std::int64_t batch_size) {
  return [sets = std::move(sets), seed, batch_size](std::int64_t step) {
    std::seed_seq words{seed, seed >> 32U, static_cast<std::uint64_t>(step), std::uint64_t{0x6d6978}};
    std::mt19937_64 random(words);
    Batch batch;
    std::vector<at::Tensor> inputs, targets;
    for (std::int64_t row = 0; row < batch_size; ++row) {
      const PackedWindows& set = sets[static_cast<std::size_t>(step * batch_size + row) % sets.size()];
      const auto index = static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(set.size()));
      append(batch, batch_of(set, {index}), inputs, targets);
    }
    batch.inputs = at::cat(inputs);
    batch.targets = at::cat(targets);
    return batch;
  };
}

}  // namespace mformer
