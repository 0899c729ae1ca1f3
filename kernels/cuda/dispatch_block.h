#pragma once

#include "kernels/cuda/block.h"
#include "kernels/cuda/launch.h"

// Rows to modules and back. The plan is a counting sort: pieces of slots are counted, each module by one thread, which
// reads its piece in order; so the sort is stable, and no two threads write the same place.

namespace mformer::kernels::cuda {

inline constexpr int kDispatchThreads = 256;

struct PieceShared {
  int32_t module[Plan::kSlotsPerPiece];
};
struct OffsetShared {
  int64_t before[kMostModules + 1];
};
struct CombineShared {
  float sums[kDispatchThreads];
};

/// Reads the block's piece. Returns how many slots it has.
template <class Block>
MFORMER_HD int read_piece(Block& block, PieceShared& shared, const Plan& p) {
  const int64_t first = block.index.x * Plan::kSlotsPerPiece;
  const int count = static_cast<int>(least<int64_t>(Plan::kSlotsPerPiece, p.slots - first));
  block.each([&](int thread) {
    for (int i = thread; i < count; i += kDispatchThreads) {
      const int64_t m = p.chosen[first + i];
      shared.module[i] = m >= 0 && m < p.modules ? static_cast<int32_t>(m) : -1;  // is counted nowhere
    }
  });
  return count;
}

/// Block x: counts[x][m] = slots of piece x that chose m.
template <class Block>
MFORMER_HD void plan_count(Block& block, PieceShared& shared, const Plan& p) {
  const int count = read_piece(block, shared, p);
  block.each([&](int thread) {
    if (thread >= p.modules) return;
    int64_t sum = 0;
    for (int i = 0; i < count; ++i) sum += shared.module[i] == thread ? 1 : 0;
    p.counts[block.index.x * p.modules + thread] = sum;
  });
}

/// One block: the offsets, and counts become the first row of each piece and module.
template <class Block>
MFORMER_HD void plan_offsets(Block& block, OffsetShared& shared, const Plan& p) {
  block.each([&](int thread) {
    if (thread >= p.modules) return;
    int64_t sum = 0;
    for (int64_t piece = 0; piece < p.pieces(); ++piece) sum += p.counts[piece * p.modules + thread];
    shared.before[thread + 1] = sum;
  });
  block.each([&](int thread) {
    if (thread > 0) return;
    shared.before[0] = 0;
    for (int64_t m = 0; m < p.modules; ++m) shared.before[m + 1] += shared.before[m];
  });
  block.each([&](int thread) {
    for (int64_t m = thread; m <= p.modules; m += kDispatchThreads) p.offset[m] = shared.before[m];
    // Rows that nobody chose, where a slot named no module: they are some slot's, so that nothing reads outside.
    for (int64_t row = shared.before[p.modules] + thread; row < p.slots; row += kDispatchThreads)
      p.slot_of_row[row] = 0;
    if (thread >= p.modules) return;
    int64_t row = shared.before[thread];
    for (int64_t piece = 0; piece < p.pieces(); ++piece) {
      int64_t& count = p.counts[piece * p.modules + thread];
      const int64_t next = row + count;
      count = row;
      row = next;
    }
  });
}

/// Block x: the rows of piece x.
template <class Block>
MFORMER_HD void plan_rows(Block& block, PieceShared& shared, const Plan& p) {
  const int count = read_piece(block, shared, p);
  block.each([&](int thread) {
    for (int i = thread; i < count; i += kDispatchThreads) {
      if (shared.module[i] < 0) p.row_of_slot[block.index.x * Plan::kSlotsPerPiece + i] = 0;
    }
    if (thread >= p.modules) return;
    int64_t row = p.counts[block.index.x * p.modules + thread];
    for (int i = 0; i < count; ++i) {
      if (shared.module[i] != thread) continue;
      const int64_t slot = block.index.x * Plan::kSlotsPerPiece + i;
      p.row_of_slot[slot] = row;
      p.slot_of_row[row++] = slot;
    }
  });
}

/// Block x: row x, in pieces of the size of Unit.
template <class Unit, class Block>
MFORMER_HD void gather(Block& block, const Gather& g) {
  const int64_t units = g.bytes / static_cast<int64_t>(sizeof(Unit)), row = block.index.x;
  const auto* from = static_cast<const Unit*>(g.x) + g.slot_of_row[row] / g.k * units;
  auto* to = static_cast<Unit*>(g.out) + row * units;
  block.each([&](int thread) {
    for (int64_t i = thread; i < units; i += kDispatchThreads) to[i] = from[i];
  });
}

/// Block x: token x.
template <class T, class Block>
MFORMER_HD void combine(Block& block, const Combine& c) {
  const auto *rows = static_cast<const T*>(c.rows), *gates = static_cast<const T*>(c.gates);
  const int64_t first = block.index.x * c.k;
  block.each([&](int thread) {
    for (int64_t column = thread; column < c.width; column += kDispatchThreads) {
      float sum = 0;
      for (int64_t slot = first; slot < first + c.k; ++slot) {
        const float gate = gates == nullptr ? 1.0F : to_float(gates[slot]);
        sum += gate * to_float(rows[c.row_of_slot[slot] * c.width + column]);
      }
      assign(static_cast<T*>(c.y)[block.index.x * c.width + column], sum);
    }
  });
}

/// Block x: slot x.
template <class T, class Block>
MFORMER_HD void combine_backward(Block& block, CombineShared& shared, const CombineBackward& c) {
  const int64_t slot = block.index.x, row = c.row_of_slot[slot];
  const auto* grad = static_cast<const T*>(c.grad) + slot / c.k * c.width;
  const auto* values = static_cast<const T*>(c.rows) + row * c.width;
  const float gate = to_float(static_cast<const T*>(c.gates)[slot]);
  block.each([&](int thread) {
    float sum = 0;
    for (int64_t column = thread; column < c.width; column += kDispatchThreads) {
      const float g = to_float(grad[column]);
      sum += g * to_float(values[column]);
      assign(static_cast<T*>(c.grad_rows)[row * c.width + column], gate * g);
    }
    shared.sums[thread] = sum;
  });
  for (int half = kDispatchThreads / 2; half > 0; half /= 2) {
    block.each([&](int thread) {
      if (thread < half) shared.sums[thread] += shared.sums[thread + half];
    });
  }
  block.each([&](int thread) {
    if (thread == 0) assign(static_cast<T*>(c.grad_gates)[slot], shared.sums[0]);
  });
}

}  // namespace mformer::kernels::cuda
