#pragma once

#include <cstdint>
#include <string>

#include "kernels/activation.h"

// What the kernels are given: raw pointers and sizes, on whichever side of the bus they run. `launch` runs a kernel on
// a GPU's stream (kernels.cu; only in builds with CUDA, MFORMER_HAS_CUDA), `run` the same program on the host
// (host_launch.cpp; for tests). Arguments are already checked. All sums have a fixed order: the same input gives the
// same bits.

namespace mformer::kernels::cuda {

enum class Dtype { float32, bfloat16 };

/// A tensor [batch, rows, heads, head_size] in memory, neighbours within a head; strides in elements.
struct Rows {
  void* data = nullptr;
  int64_t batch = 0, row = 0, head = 0;
};

/// Of kernels/stick_breaking_attention.h; a row is a query, k for each token, in token order.
struct AttentionSizes {
  int64_t batch = 0, tokens = 0, k = 0, heads = 0, head_size = 0, keys = 0;  ///< 1 ≤ head_size ≤ kLargestHead
  const bool* key_mask = nullptr;                                            ///< [batch, keys]; null = all real
};
inline constexpr int64_t kLargestHead = 256;
/// Keys and rows of a tile.
inline constexpr int64_t kTile = 64;

struct AttentionForward {
  Dtype dtype = Dtype::float32;
  AttentionSizes sizes;
  Rows query, key, value, output;
};

/// The gradients that query rows [first_row, first_row + rows) give; first_row is a multiple of kTile. Two launches:
/// first `query`, then `keys`.
struct AttentionBackward {
  Dtype dtype = Dtype::float32;
  AttentionSizes sizes;
  Rows query, key, value, grad_output;
  int64_t first_row = 0, rows = 0;
  Rows query_gradient;
  /// [batch, keys, heads, head_size], contiguous: what the rows give is added.
  float *key_sums = nullptr, *value_sums = nullptr;
  /// [batch · heads, tiles of keys, rows up to whole tiles] each: how much of a row's stick is left when it comes to
  /// the tile, and what is expected of the keys before the tile (stick_breaking_block.h). `query` writes, `keys` reads.
  float *rest = nullptr, *expected = nullptr;
  /// [batch · heads, tiles of rows]: the first tile of keys that any row reached. As above.
  int32_t* first_tile = nullptr;

  constexpr int64_t row_tiles() const { return (rows + kTile - 1) / kTile; }
  constexpr int64_t key_tiles() const { return (sizes.keys + kTile - 1) / kTile; }
};
enum class AttentionPart { query, keys };

/// logits [tokens, modules] → their softmax, the k largest of each row by descending gate, the first of equals first.
struct Router {
  int64_t tokens = 0, modules = 0, k = 0;  ///< modules ≤ kMostModules
  const float* logits = nullptr;
  float *p = nullptr, *gates = nullptr;  ///< [tokens, modules], [tokens, k]
  int64_t* chosen = nullptr;             ///< [tokens, k]
  bool top_k_first = false, renormalise = false;
};
inline constexpr int64_t kMostModules = 256;

/// The gradient of the logits; those of p and of the gates may be null.
struct RouterBackward {
  int64_t tokens = 0, modules = 0, k = 0;
  const float* p = nullptr;
  const int64_t* chosen = nullptr;
  const float *grad_p = nullptr, *grad_gates = nullptr;
  float* grad_logits = nullptr;
  const float* unit_gates = nullptr;  ///< [tokens, k], the gates where they sum to 1; else null.
};

/// Counting sort of slots by module, stable.
struct Plan {
  int64_t slots = 0, modules = 0;                          ///< modules ≤ kMostModules
  const int64_t* chosen = nullptr;                         ///< [slots]; one that is no module is in no module's rows
  int64_t* counts = nullptr;                               ///< Room: [pieces, modules]
  int64_t* offset = nullptr;                               ///< [modules + 1]
  int64_t *slot_of_row = nullptr, *row_of_slot = nullptr;  ///< [slots]
  constexpr int64_t pieces() const { return (slots + kSlotsPerPiece - 1) / kSlotsPerPiece; }
  static constexpr int64_t kSlotsPerPiece = 512;
};

/// rows[r] = x[slot_of_row[r] / k], a row being `bytes` long.
struct Gather {
  int64_t rows = 0, k = 0, bytes = 0;
  const void* x = nullptr;
  const int64_t* slot_of_row = nullptr;
  void* out = nullptr;
};

/// y[t] = Σ_c gate · rows[row_of_slot[t · k + c]], gate 1 where `gates` is null; all of one dtype.
struct Combine {
  Dtype dtype = Dtype::float32;
  int64_t tokens = 0, k = 0, width = 0;
  const void *rows = nullptr, *gates = nullptr;
  const int64_t* row_of_slot = nullptr;
  void* y = nullptr;
};

/// Its gradients with gates.
struct CombineBackward {
  Dtype dtype = Dtype::float32;
  int64_t tokens = 0, k = 0, width = 0;
  const void *grad = nullptr, *rows = nullptr, *gates = nullptr;
  const int64_t* row_of_slot = nullptr;
  void *grad_rows = nullptr, *grad_gates = nullptr;
};

/// y = weight · x · s, s = 1 / √(mean of x² + epsilon); x and y [rows, width] of `dtype`, the rest float32.
struct RmsNorm {
  Dtype dtype = Dtype::float32;
  int64_t rows = 0, width = 0;
  float epsilon = 0;
  const void* x = nullptr;
  const float* weight = nullptr;
  void* y = nullptr;
  float* scale = nullptr;  ///< [rows] s
};

/// Its gradients; that of the weight is summed piece by piece of the rows.
struct RmsNormBackward {
  Dtype dtype = Dtype::float32;
  int64_t rows = 0, width = 0;
  const void *grad = nullptr, *x = nullptr;
  const float *weight = nullptr, *scale = nullptr;
  void* grad_x = nullptr;
  float* sums = nullptr;         ///< Room: [pieces, width]
  float* grad_weight = nullptr;  ///< [width]
  constexpr int64_t pieces() const { return (rows + kRowsPerPiece - 1) / kRowsPerPiece; }
  static constexpr int64_t kRowsPerPiece = 64;
};

/// Turns x [batch · tokens, heads, 2 · half] by the angles of its token, or back; all contiguous.
struct Rotation {
  Dtype dtype = Dtype::float32;
  int64_t rows = 0, tokens = 0, heads = 0, half = 0;
  const void* x = nullptr;
  const float *cos = nullptr, *sin = nullptr;  ///< [tokens, half]
  bool inverse = false;
  void* y = nullptr;
};

/// y [rows, hidden] = activation(gate) · up of x [rows, 2 · hidden].
struct Gated {
  Dtype dtype = Dtype::float32;
  Activation activation = Activation::silu;
  int64_t rows = 0, hidden = 0;
  const void* x = nullptr;
  void* y = nullptr;
};

/// The gradient of x.
struct GatedBackward {
  Dtype dtype = Dtype::float32;
  Activation activation = Activation::silu;
  int64_t rows = 0, hidden = 0;
  const void *grad = nullptr, *x = nullptr;
  void* grad_x = nullptr;
};

/// A step of AdamW on some tensors (kernels/adamw.h), weights and gradients of `dtype`, moments float32.
struct AdamW {
  static constexpr int64_t kWeightsPerBlock = 4096;
  static constexpr int kMostParts = 64;  ///< What a launch takes as its argument is at most 4096 bytes long.
  struct Part {
    void* weight = nullptr;
    const void* gradient = nullptr;  ///< Null = zeros.
    float *exp_avg = nullptr, *exp_avg_sq = nullptr;
    int64_t weights = 0, first_block = 0;
    float kept = 1;  ///< 1 − lr · decay
  };
  Dtype dtype = Dtype::float32;
  int count = 0;
  int64_t blocks = 0;
  float gradient_scale = 1, epsilon = 0;
  float part1 = 0, beta2 = 0, part2 = 0;  ///< 1 − β₁, β₂, 1 − β₂
  float rate = 0, root_scale = 0;         ///< lr / (1 − β₁ᵗ), 1 / √(1 − β₂ᵗ)
  Part parts[kMostParts];
};
static_assert(sizeof(AdamW) <= 4096);

/// Empty where all went well; else CUDA's words.
using Status = std::string;

#define MFORMER_LAUNCHES(function, ...)                                              \
  Status function(const AttentionForward& problem __VA_ARGS__);                      \
  Status function(const AttentionBackward& problem, AttentionPart part __VA_ARGS__); \
  Status function(const Router& problem __VA_ARGS__);                                \
  Status function(const RouterBackward& problem __VA_ARGS__);                        \
  Status function(const Plan& problem __VA_ARGS__);                                  \
  Status function(const Gather& problem __VA_ARGS__);                                \
  Status function(const Combine& problem __VA_ARGS__);                               \
  Status function(const CombineBackward& problem __VA_ARGS__);                       \
  Status function(const RmsNorm& problem __VA_ARGS__);                               \
  Status function(const RmsNormBackward& problem __VA_ARGS__);                       \
  Status function(const Rotation& problem __VA_ARGS__);                              \
  Status function(const Gated& problem __VA_ARGS__);                                 \
  Status function(const GatedBackward& problem __VA_ARGS__);                         \
  Status function(const AdamW& problem __VA_ARGS__);

MFORMER_LAUNCHES(run)
/// For tests: of `run` from now on (host_block.h). The results do not depend on it.
enum class Order;
void set_host_order(Order order, uint64_t seed = 0);
#ifdef MFORMER_HAS_CUDA
/// `stream` is a cudaStream_t of the current device.
MFORMER_LAUNCHES(launch, , void* stream)
#endif
#undef MFORMER_LAUNCHES

}  // namespace mformer::kernels::cuda
