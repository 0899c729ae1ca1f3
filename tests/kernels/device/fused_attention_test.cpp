// Our GPU kernels of stick-breaking attention, in loops on the host and on a GPU, against the formula and the CPU's
// kernel in float64.

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <tuple>

#include "kernels/cpu/stick_breaking_attention.h"
#include "kernels/device/fused.h"
#include "tests/kernels/device/gpu.h"
#include "tests/support/naive_attention.h"
#include "tests/support/tolerance.h"

namespace mformer::kernels::device {
namespace {

using mformer::testing::naive_attention;
using mformer::testing::OnHostAndGpu;
using mformer::testing::relative_error;

struct Inputs {
  at::Tensor query, key, value, grad, mask;
};

struct Sizes {
  std::int64_t batch, tokens, keys, k, heads, head_size;
};

Inputs random_inputs(const Sizes& s, at::ScalarType dtype, bool padded = false) {
  at::manual_seed(s.tokens * 131 + s.keys * 17 + s.k + s.head_size);
  const auto random = [&](at::IntArrayRef sizes) { return at::randn(sizes).to(dtype); };
  return {random({s.batch, s.tokens, s.k, s.heads, s.head_size}), random({s.batch, s.keys, s.heads, s.head_size}),
          random({s.batch, s.keys, s.heads, s.head_size}), random({s.batch, s.tokens, s.k, s.heads, s.head_size}),
          padded ? at::rand({s.batch, s.keys}).gt(0.3) : at::Tensor()};
}

/// Scores of about −7: a stick reaches the first of thousands of keys, so that every tile counts.
Inputs with_lasting_sticks(Inputs in) {
  in.query.select(-1, 0).fill_(7.0);
  in.key.select(-1, 0).fill_(-std::sqrt(static_cast<double>(in.key.size(-1))));
  return in;
}

class FusedAttention : public OnHostAndGpu {
 protected:
  at::Tensor forward(const Inputs& in) const {
    return fused::stick_breaking_forward(there(in.query), there(in.key), there(in.value), there(in.mask)).cpu();
  }
  auto backward(const Inputs& in, std::int64_t state_bytes = fused::kStateBytes) const {
    const auto [dq, dk, dv] = fused::stick_breaking_backward(there(in.grad), there(in.query), there(in.key),
                                                             there(in.value), there(in.mask), state_bytes);
    return std::tuple(dq.cpu(), dk.cpu(), dv.cpu());
  }

  /// Sums are float32; of bfloat16, weights and the gradients of scores are rounded before they are multiplied, and
  /// results.
  void expect_right(const Inputs& in, const std::string& what, std::int64_t state_bytes = fused::kStateBytes) const {
    const bool half = in.query.scalar_type() == at::kBFloat16;
    const double tolerance = half ? testing::kFewBFloat16Factors : testing::kFloat32;
    const auto wide = [](const at::Tensor& x) { return x.to(at::kDouble); };
    const at::Tensor q = wide(in.query), k = wide(in.key), v = wide(in.value);
    EXPECT_LE(relative_error(forward(in), cpu::stick_breaking_forward(q, k, v, in.mask)), tolerance) << what;
    const auto [dq, dk, dv] = backward(in, state_bytes);
    const auto [right_dq, right_dk, right_dv] = cpu::stick_breaking_backward(wide(in.grad), q, k, v, in.mask);
    EXPECT_EQ(dk.scalar_type(), in.key.scalar_type());
    EXPECT_LE(relative_error(dq, right_dq), tolerance) << what << ": query";
    EXPECT_LE(relative_error(dk, right_dk), tolerance) << what << ": key";
    EXPECT_LE(relative_error(dv, right_dv), tolerance) << what << ": value";
  }
};

TEST_P(FusedAttention, MatchesTheFormula) {
  for (const bool padded : {false, true}) {
    const Inputs in = random_inputs({2, 37, 70, 2, 2, 8}, at::kFloat, padded);
    const auto mask = padded ? std::optional(in.mask) : std::nullopt;
    EXPECT_LE(relative_error(forward(in), naive_attention(in.query, in.key, in.value, mask)), testing::kFloat32);
  }
}

TEST_P(FusedAttention, IsRightForEverySizeOfHeads) {
  for (const std::int64_t head_size : {1, 3, 32, 40, 63, 64, 65, 128, 130, 192, 200, 256}) {
    for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
      expect_right(random_inputs({1, 40, 75, 2, 2, head_size}, dtype), std::to_string(head_size));
    }
  }
}

TEST_P(FusedAttention, IsRightAroundTheEdgesOfTiles) {
  for (const std::int64_t tokens : {1, 2, 21, 22, 32, 33, 63, 64, 65, 130}) {
    for (const std::int64_t k : {1, 2, 3, 4}) {
      const std::string what = std::to_string(tokens) + " tokens, k " + std::to_string(k);
      expect_right(random_inputs({2, tokens, tokens, k, 2, 16}, at::kFloat), what);
      expect_right(with_lasting_sticks(random_inputs({1, tokens, tokens, k, 1, 8}, at::kFloat)), what + ", lasting");
    }
  }
}

TEST_P(FusedAttention, IsRightWhereKeysAreCached) {
  for (const std::int64_t tokens : {1, 5, 64}) {
    for (const std::int64_t cached : {1, 63, 64, 65, 200}) {
      const std::string what = std::to_string(tokens) + " tokens after " + std::to_string(cached);
      expect_right(random_inputs({2, tokens, tokens + cached, 3, 2, 16}, at::kFloat), what);
      expect_right(with_lasting_sticks(random_inputs({1, tokens, tokens + cached, 2, 2, 64}, at::kBFloat16)), what);
    }
  }
}

TEST_P(FusedAttention, IsRightWithPaddedKeys) {
  expect_right(random_inputs({3, 130, 130, 2, 2, 16}, at::kFloat, true), "random mask");
  expect_right(with_lasting_sticks(random_inputs({2, 70, 140, 2, 1, 64}, at::kBFloat16, true)), "lasting");
  Inputs in = random_inputs({4, 130, 130, 2, 2, 16}, at::kFloat);
  in.mask = at::ones({4, 130}, at::kBool);
  in.mask[0].narrow(0, 0, 70).fill_(false);   // left
  in.mask[1].narrow(0, 61, 69).fill_(false);  // right
  in.mask[2].narrow(0, 40, 50).fill_(false);
  in.mask[3].fill_(false);
  expect_right(in, "blocks of padding");
}

TEST_P(FusedAttention, IsRightWhereSticksLastForManyTiles) {
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    expect_right(with_lasting_sticks(random_inputs({1, 400, 400, 2, 1, 32}, dtype)), "lasting");
  }
}

TEST_P(FusedAttention, IsRightWhereSticksEndEarly) {
  Inputs in = random_inputs({1, 300, 300, 2, 2, 32}, at::kFloat);
  in.query.mul_(12);  // scores of some ±12: a stick is gone after a few keys, and tiles are left out
  expect_right(in, "early");
}

TEST_P(FusedAttention, KeepsTheGradientOfAKeyBehindOneThatTakesNearlyAllOfTheStick) {
  Inputs in = random_inputs({1, 1, 2, 1, 1, 1}, at::kFloat);
  in.query.fill_(1.0);
  in.key.copy_(at::tensor({0.5F, 14.0F}).view({1, 2, 1, 1}));  // the last key leaves 8e-7 of the stick
  const auto wide = [](const at::Tensor& x) { return x.to(at::kDouble); };
  const auto [right_dq, right_dk, right_dv] =
      cpu::stick_breaking_backward(wide(in.grad), wide(in.query), wide(in.key), wide(in.value), in.mask);
  const auto [dq, dk, dv] = backward(in);
  EXPECT_LE(relative_error(dv.select(1, 0), right_dv.select(1, 0)), testing::kFloat32);
  EXPECT_LE(relative_error(dk.select(1, 0), right_dk.select(1, 0)), testing::kFloat32);
}

TEST_P(FusedAttention, TakesMoreQueriesOfATokenThanATileHasRows) {
  expect_right(random_inputs({1, 5, 9, 67, 2, 16}, at::kFloat), "k 67");
}

TEST_P(FusedAttention, TakesKeysThatAreViewsOfALargerRoom) {
  Inputs in = random_inputs({2, 20, 50, 2, 2, 16}, at::kFloat);
  const auto in_room = [](const at::Tensor& x) {
    return at::cat({x, x}, 1).transpose(1, 2).contiguous().transpose(1, 2).narrow(1, 0, x.size(1));
  };
  in.key = in_room(in.key);
  in.value = in_room(in.value);
  expect_right(in, "views");
}

TEST_P(FusedAttention, GivesTheSameGradientsInPiecesOfRows) {
  const Inputs in = with_lasting_sticks(random_inputs({1, 150, 150, 2, 2, 16}, at::kFloat));
  expect_right(in, "pieces", 1);
  const auto [dq, dk, dv] = backward(in, 1);
  EXPECT_TRUE(dq.equal(std::get<0>(backward(in))));
}

TEST_P(FusedAttention, HasTheSameBitsAtEachRun) {
  const Inputs in = random_inputs({2, 130, 130, 2, 2, 64}, at::kBFloat16);
  EXPECT_TRUE(forward(in).equal(forward(in)));
  EXPECT_TRUE(std::get<1>(backward(in)).equal(std::get<1>(backward(in))));
}

TEST_P(FusedAttention, StaysFiniteForExtremeScores) {
  for (const double score : {-200.0, 200.0}) {
    Inputs in = random_inputs({1, 150, 150, 2, 1, 1}, at::kFloat);
    in.query.fill_(score);
    in.key.sign_();
    EXPECT_TRUE(forward(in).isfinite().all().item<bool>());
    const auto [dq, dk, dv] = backward(in);
    EXPECT_TRUE((dq.sum() + dk.sum() + dv.sum()).isfinite().item<bool>());
  }
}

TEST(FusedAttentionSizes, LeavesTheRestToLibTorch) {
  EXPECT_TRUE(fused::takes_attention(at::zeros({1, 2, 1, 1, 256}, at::kBFloat16)));
  EXPECT_FALSE(fused::takes_attention(at::zeros({1, 2, 1, 1, 257})));
  EXPECT_FALSE(fused::takes_attention(at::zeros({1, 2, 1, 1, 64}, at::kDouble)));
  EXPECT_FALSE(fused::takes_attention(at::zeros({0, 2, 1, 1, 64})));
}

MFORMER_ON_HOST_AND_GPU(FusedAttention);

}  // namespace
}  // namespace mformer::kernels::device
