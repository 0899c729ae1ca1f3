#include "recipes/benchmarks/machine_peaks.h"

#include <ATen/Parallel.h>
#include <ATen/ops/rand.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <vector>

#include "kernels/linear.h"
#include "recipes/benchmarks/report.h"

namespace mformer::benchmarks {
namespace {

constexpr int kPasses = 10;

/// Nothing but loads: eight sums, so that no load waits for an addition.
[[gnu::target_clones("avx512f", "avx2", "default")]] std::uint64_t sum(const std::uint64_t* words, std::int64_t count) {
  constexpr std::int64_t lanes = 64;
  std::uint64_t sums[lanes] = {};
  for (std::int64_t i = 0; i + lanes <= count; i += lanes) {
    for (std::int64_t lane = 0; lane < lanes; ++lane) sums[lane] += words[i + lane];
  }
  std::uint64_t total = 0;
  for (const std::uint64_t one : sums) total += one;
  return total;
}

/// A piece of a buffer: small enough to share the work evenly.
struct Piece {
  const std::uint64_t* words;
  std::int64_t count;
};

std::vector<Piece> pieces_of(const std::vector<at::Tensor>& buffers) {
  constexpr std::int64_t piece = (1 << 20) / sizeof(std::uint64_t);
  std::vector<Piece> pieces;
  for (const at::Tensor& buffer : buffers) {
    const auto* words = static_cast<const std::uint64_t*>(buffer.const_data_ptr());
    const auto count = static_cast<std::int64_t>(buffer.nbytes() / sizeof(std::uint64_t));
    for (std::int64_t i = 0; i < count; i += piece) pieces.push_back({words + i, std::min(piece, count - i)});
  }
  return pieces;
}

}  // namespace

double read_bandwidth(const std::vector<at::Tensor>& buffers) {
  const std::vector<Piece> pieces = pieces_of(buffers);
  double bytes = 0;
  for (const Piece& piece : pieces) bytes += static_cast<double>(piece.count) * sizeof(std::uint64_t);
  std::atomic<std::uint64_t> sink = 0;  // keeps the loads from being optimised away
  double best = 0;
  for (int pass = 0; pass < kPasses; ++pass) {
    Stopwatch watch;
    at::parallel_for(0, static_cast<std::int64_t>(pieces.size()), 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) sink += sum(pieces[i].words, pieces[i].count);
    });
    best = std::max(best, bytes / watch.lap());
  }
  return best;
}

double product_peak(at::ScalarType dtype) {
  constexpr std::int64_t size = 2048;
  const at::Tensor a = at::rand({size, size}).to(dtype), b = at::rand({size, size}).to(dtype);
  double best = 0;
  for (int pass = 0; pass < kPasses; ++pass) {
    Stopwatch watch;
    kernels::linear(a, b);
    best = std::max(best, 2.0 * size * size * size / watch.lap());
  }
  return best;
}

}  // namespace mformer::benchmarks
