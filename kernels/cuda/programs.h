#pragma once

#include "kernels/cuda/adamw_block.h"
#include "kernels/cuda/dispatch_block.h"
#include "kernels/cuda/router_block.h"
#include "kernels/cuda/rows_block.h"
#include "kernels/cuda/stick_breaking_forward_block.h"
#include "kernels/cuda/stick_breaking_keys_block.h"
#include "kernels/cuda/stick_breaking_query_block.h"

// Each problem as launches of a program over a grid: Runner::run<Program>(blocks x, blocks y, problem), which is the
// GPU's (kernels.cu) or the host's (host_launch.cpp).

namespace mformer::kernels::cuda {

/// A program: how many threads a block has, how many blocks shall fit a multiprocessor at once (what the sums of long
/// heads leave of its registers), what the threads share, and what they do.
template <int kChunks, class T>
struct AttentionForwardProgram {
  static constexpr int threads = kThreads, blocks = kChunks <= 2 ? 2 : 1;
  using Shared = ForwardShared<kChunks, T>;
  using Problem = AttentionForward;
  template <class Block>
  static MFORMER_HD void run(Block& block, Shared& shared, const Problem& p) {
    attention_forward<kChunks, T>(block, shared, p);
  }
};
template <int kChunks, class T>
struct BackwardQueryProgram {
  static constexpr int threads = kThreads, blocks = kChunks == 1 ? 2 : 1;
  using Shared = BackwardShared<T>;
  using Problem = AttentionBackward;
  template <class Block>
  static MFORMER_HD void run(Block& block, Shared& shared, const Problem& p) {
    attention_backward_query<kChunks, T>(block, shared, p);
  }
};
template <int kChunks, class T>
struct BackwardKeysProgram {
  static constexpr int threads = kThreads, blocks = kChunks == 1 ? 2 : 1;
  using Shared = BackwardShared<T>;
  using Problem = AttentionBackward;
  template <class Block>
  static MFORMER_HD void run(Block& block, Shared& shared, const Problem& p) {
    attention_backward_keys<kChunks, T>(block, shared, p);
  }
};

struct Nothing {};

#define MFORMER_PROGRAM(Name, kNumber, SharedType, ProblemType, call)                             \
  struct Name {                                                                                   \
    static constexpr int threads = kNumber, blocks = 2;                                           \
    using Shared = SharedType;                                                                    \
    using Problem = ProblemType;                                                                  \
    template <class Block>                                                                        \
    static MFORMER_HD void run(Block& block, [[maybe_unused]] Shared& shared, const Problem& p) { \
      call; /* NOLINT(bugprone-macro-parentheses) */                                              \
    }                                                                                             \
  }
MFORMER_PROGRAM(RouterProgram, kRouterThreads, RouterShared, Router, router_forward(block, shared, p));
MFORMER_PROGRAM(RouterBackwardProgram, kRouterThreads, RouterShared, RouterBackward, router_backward(block, shared, p));
MFORMER_PROGRAM(CountProgram, kDispatchThreads, PieceShared, Plan, plan_count(block, shared, p));
MFORMER_PROGRAM(OffsetsProgram, kDispatchThreads, OffsetShared, Plan, plan_offsets(block, shared, p));
MFORMER_PROGRAM(RowsProgram, kDispatchThreads, PieceShared, Plan, plan_rows(block, shared, p));
MFORMER_PROGRAM(GatherFoursProgram, kDispatchThreads, Nothing, Gather, gather<Four>(block, p));
MFORMER_PROGRAM(GatherPairsProgram, kDispatchThreads, Nothing, Gather, gather<uint16_t>(block, p));
MFORMER_PROGRAM(CombineFloatProgram, kDispatchThreads, Nothing, Combine, combine<float>(block, p));
MFORMER_PROGRAM(CombineHalfProgram, kDispatchThreads, Nothing, Combine, combine<BFloat16>(block, p));
MFORMER_PROGRAM(CombineFloatBackwardProgram, kDispatchThreads, CombineShared, CombineBackward,
                combine_backward<float>(block, shared, p));
MFORMER_PROGRAM(CombineHalfBackwardProgram, kDispatchThreads, CombineShared, CombineBackward,
                combine_backward<BFloat16>(block, shared, p));
// NOLINTBEGIN(bugprone-macro-parentheses): names of types and of a template
#define MFORMER_ROW_PROGRAMS(Name, SharedType, ProblemType, function, ...)                                   \
  MFORMER_PROGRAM(Name##Float, kRowThreads, SharedType, ProblemType, function<float>(block, __VA_ARGS__ p)); \
  MFORMER_PROGRAM(Name##Half, kRowThreads, SharedType, ProblemType, function<BFloat16>(block, __VA_ARGS__ p))
#define MFORMER_SHARED shared,
MFORMER_ROW_PROGRAMS(RmsNormProgram, RowShared, RmsNorm, rms_norm_forward, MFORMER_SHARED);
MFORMER_ROW_PROGRAMS(RmsNormRowsProgram, RowShared, RmsNormBackward, rms_norm_backward_rows, MFORMER_SHARED);
MFORMER_ROW_PROGRAMS(RmsNormPieceProgram, Nothing, RmsNormBackward, rms_norm_backward_piece, );
MFORMER_PROGRAM(RmsNormWeightProgram, kRowThreads, Nothing, RmsNormBackward, rms_norm_backward_weight(block, p));
MFORMER_ROW_PROGRAMS(RotationProgram, Nothing, Rotation, rotate_token, );
MFORMER_ROW_PROGRAMS(GatedProgram, Nothing, Gated, gate_row, );
MFORMER_ROW_PROGRAMS(GatedBackwardProgram, Nothing, GatedBackward, gate_row_backward, );
MFORMER_PROGRAM(AdamWFloatProgram, kUpdateThreads, Nothing, AdamW, adamw_update<float>(block, p));
MFORMER_PROGRAM(AdamWHalfProgram, kUpdateThreads, Nothing, AdamW, adamw_update<BFloat16>(block, p));
// NOLINTEND(bugprone-macro-parentheses)
#undef MFORMER_SHARED
#undef MFORMER_ROW_PROGRAMS
#undef MFORMER_PROGRAM

inline int64_t pieces_of(int64_t count, int64_t size) {
  return (count + size - 1) / size;
}

/// Runs Program<chunks of 64 columns of a head, storage type>.
template <template <int, class> class Program, class Runner, class Problem>
Status run_for_head(const Runner& runner, int64_t x, int64_t y, const Problem& p) {
  const auto with = [&](auto type) -> Status {
    using T = decltype(type);
    switch (pieces_of(p.sizes.head_size, kSide)) {
      case 1:
        return runner.template run<Program<1, T>>(x, y, p);
      case 2:
        return runner.template run<Program<2, T>>(x, y, p);
      case 3:
        return runner.template run<Program<3, T>>(x, y, p);
      default:
        return runner.template run<Program<4, T>>(x, y, p);
    }
  };
  return p.dtype == Dtype::float32 ? with(float{}) : with(BFloat16{});
}

template <class Runner>
Status run_all(const Runner& runner, const AttentionForward& p) {
  const AttentionSizes& s = p.sizes;
  return run_for_head<AttentionForwardProgram>(runner, pieces_of(s.tokens * s.k, kSide), s.batch * s.heads, p);
}

template <class Runner>
Status run_all(const Runner& runner, const AttentionBackward& p, AttentionPart part) {
  const int64_t pairs = p.sizes.batch * p.sizes.heads;
  return part == AttentionPart::query ? run_for_head<BackwardQueryProgram>(runner, p.row_tiles(), pairs, p)
                                      : run_for_head<BackwardKeysProgram>(runner, p.key_tiles(), pairs, p);
}

template <class Runner>
Status run_all(const Runner& runner, const Router& p) {
  return runner.template run<RouterProgram>(pieces_of(p.tokens, kRowsPerBlock), 1, p);
}

template <class Runner>
Status run_all(const Runner& runner, const RouterBackward& p) {
  return runner.template run<RouterBackwardProgram>(pieces_of(p.tokens, kRowsPerBlock), 1, p);
}

template <class Runner>
Status run_all(const Runner& runner, const Plan& p) {
  Status status = runner.template run<CountProgram>(p.pieces(), 1, p);
  if (status.empty()) status = runner.template run<OffsetsProgram>(1, 1, p);
  return status.empty() ? runner.template run<RowsProgram>(p.pieces(), 1, p) : status;
}

template <class Runner>
Status run_all(const Runner& runner, const Gather& p) {
  const auto begins_at_four = [](const void* x) { return reinterpret_cast<uintptr_t>(x) % sizeof(Four) == 0; };
  const bool fours = p.bytes % static_cast<int64_t>(sizeof(Four)) == 0 && begins_at_four(p.x) && begins_at_four(p.out);
  return fours ? runner.template run<GatherFoursProgram>(p.rows, 1, p)
               : runner.template run<GatherPairsProgram>(p.rows, 1, p);
}

template <class Runner>
Status run_all(const Runner& runner, const Combine& p) {
  return p.dtype == Dtype::float32 ? runner.template run<CombineFloatProgram>(p.tokens, 1, p)
                                   : runner.template run<CombineHalfProgram>(p.tokens, 1, p);
}

template <class Runner>
Status run_all(const Runner& runner, const CombineBackward& p) {
  return p.dtype == Dtype::float32 ? runner.template run<CombineFloatBackwardProgram>(p.tokens * p.k, 1, p)
                                   : runner.template run<CombineHalfBackwardProgram>(p.tokens * p.k, 1, p);
}

/// Runs one of two programs, by the problem's dtype.
template <class Float, class Half, class Runner, class Problem>
Status run_as(const Runner& runner, int64_t x, int64_t y, const Problem& p) {
  return p.dtype == Dtype::float32 ? runner.template run<Float>(x, y, p) : runner.template run<Half>(x, y, p);
}

template <class Runner>
Status run_all(const Runner& runner, const RmsNorm& p) {
  return run_as<RmsNormProgramFloat, RmsNormProgramHalf>(runner, p.rows, 1, p);
}

template <class Runner>
Status run_all(const Runner& runner, const RmsNormBackward& p) {
  const int64_t columns = pieces_of(p.width, kRowThreads);
  Status status = run_as<RmsNormRowsProgramFloat, RmsNormRowsProgramHalf>(runner, p.rows, 1, p);
  if (status.empty())
    status = run_as<RmsNormPieceProgramFloat, RmsNormPieceProgramHalf>(runner, columns, p.pieces(), p);
  return status.empty() ? runner.template run<RmsNormWeightProgram>(columns, 1, p) : status;
}

template <class Runner>
Status run_all(const Runner& runner, const Rotation& p) {
  return run_as<RotationProgramFloat, RotationProgramHalf>(runner, p.rows, 1, p);
}

template <class Runner>
Status run_all(const Runner& runner, const Gated& p) {
  return run_as<GatedProgramFloat, GatedProgramHalf>(runner, p.rows, 1, p);
}

template <class Runner>
Status run_all(const Runner& runner, const GatedBackward& p) {
  return run_as<GatedBackwardProgramFloat, GatedBackwardProgramHalf>(runner, p.rows, 1, p);
}

template <class Runner>
Status run_all(const Runner& runner, const AdamW& p) {
  return run_as<AdamWFloatProgram, AdamWHalfProgram>(runner, p.blocks, 1, p);
}

}  // namespace mformer::kernels::cuda
