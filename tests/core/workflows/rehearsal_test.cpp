// Texts that a model writes itself, so that it is not forgotten what it was.

#include "core/workflows/rehearsal.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "core/model/forward.h"
#include "core/training/evaluate.h"
#include "tests/support/threads.h"
#include "tests/support/tiny_model.h"

namespace mformer {
namespace {

constexpr std::int64_t kTokens = 20;

class RehearsalTest : public ::testing::Test {
 protected:
  RehearsalTest() : model_(testing::tiny_model()) {
    Batch batch;
    batch.inputs = testing::tiny_ids(3, kTokens);
    memory_ = {batch};
  }
  Rehearsal made(std::uint64_t seed = 7, const Watcher& watcher = {}) const {
    return {model_, memory_, 40, seed, watcher};
  }
  static at::Tensor all(const Rehearsal& rehearsal) {
    return rehearsal.sample(rehearsal.texts(), rehearsal.texts())[0].inputs;
  }
  static BatchSource two_rows_of_ones() {
    return [](std::int64_t step) {
      Batch batch;
      batch.inputs = at::ones({2, kTokens}, at::kLong);
      batch.targets = at::ones({2, kTokens}, at::kLong);
      batch.lengths = {kTokens, kTokens};
      batch.starts.resize(2);
      batch.step = step;
      return batch;
    };
  }

  Model model_;
  std::vector<Batch> memory_;
};

TEST_F(RehearsalTest, HoldsTheMemoryAndTextsThatBeginWithPiecesOfIt) {
  const Rehearsal rehearsal = made();
  ASSERT_EQ(rehearsal.texts(), 43);
  const at::Tensor texts = all(rehearsal), memory = memory_[0].inputs;
  EXPECT_TRUE(texts.narrow(0, 0, 3).equal(memory));
  EXPECT_LT(texts.max().item<std::int64_t>(), model_.config.vocab_size);
  for (std::int64_t t = 3; t < texts.size(0); ++t) {
    const at::Tensor opening = texts[t].narrow(0, 0, Rehearsal::kOpening);
    bool found = false;
    for (std::int64_t row = 0; row < memory.size(0); ++row) {
      for (std::int64_t first = 0; first + Rehearsal::kOpening <= kTokens; ++first) {
        found = found || memory[row].narrow(0, first, Rehearsal::kOpening).equal(opening);
      }
    }
    EXPECT_TRUE(found) << "text " << t;
  }
  EXPECT_FALSE(texts[10].equal(texts[11]));
}

TEST_F(RehearsalTest, IsTheSameForTheSameSeedWhateverTheNumberOfThreads) {
  const at::Tensor texts = all(made());
  EXPECT_FALSE(all(made(8)).equal(texts));
  const testing::ThreadCount one(at::get_num_threads() == 1 ? 2 : 1);
  EXPECT_TRUE(all(made()).equal(texts));
}

TEST_F(RehearsalTest, PutsTextsBehindTheRowsOfABatchWithoutTargets) {
  const Rehearsal rehearsal = made();
  const Batch batch = rehearsal.behind(two_rows_of_ones(), 5)(3);
  ASSERT_EQ(batch.inputs.sizes(), at::IntArrayRef({7, kTokens}));
  EXPECT_TRUE(batch.inputs.narrow(0, 0, 2).eq(1).all().item<bool>());
  EXPECT_TRUE(batch.targets.narrow(0, 0, 2).eq(1).all().item<bool>());
  EXPECT_TRUE(batch.targets.narrow(0, 2, 5).eq(PackedWindows::kIgnore).all().item<bool>());
  EXPECT_EQ(batch.replay.sum().item<std::int64_t>(), 5);
  EXPECT_TRUE(batch.replay.narrow(0, 2, 5).all().item<bool>());
  EXPECT_EQ(batch.lengths.size(), 7U);
  EXPECT_EQ(batch.starts.size(), 7U);
}

TEST_F(RehearsalTest, ShowsEveryTextOnceBeforeAnyASecondTime) {
  const Rehearsal rehearsal = made();
  const BatchSource source = rehearsal.behind(two_rows_of_ones(), 43);
  const auto sums = [&](std::int64_t step) {
    const at::Tensor rows = source(step).inputs.narrow(0, 2, 43);
    return std::get<0>((rows * at::arange(1, kTokens + 1)).sum(1).sort());
  };
  EXPECT_TRUE(sums(0).equal(std::get<0>((all(rehearsal) * at::arange(1, kTokens + 1)).sum(1).sort())));
  EXPECT_TRUE(sums(1).equal(sums(0)));
  EXPECT_FALSE(source(0).inputs.equal(source(1).inputs)) << "the order is another";
}

TEST_F(RehearsalTest, LossIsZeroForTheTeacherAndGrowsWithTheDistanceFromIt) {
  const Rehearsal rehearsal = made();
  Batch batch = rehearsal.behind(two_rows_of_ones(), 6)(2);
  batch.number = 2;
  const auto loss = [&](const Model& model) {
    return rehearsal.loss(model, forward(model, batch.inputs).hidden, batch, 6).item<double>();
  };
  // The teacher's hidden states come from packed weights, whose sums are in another order.
  EXPECT_NEAR(loss(model_), 0, 1e-6);
  Model near = clone(model_), far = clone(model_);
  const at::Tensor noise = at::randn(model_.lm_head.sizes(), at::detail::createCPUGenerator(3), at::TensorOptions());
  near.lm_head.add_(noise, 0.05);
  far.lm_head.add_(noise, 0.5);
  EXPECT_GT(loss(near), 1e-4);
  EXPECT_GT(loss(far), 4 * loss(near));
}

TEST_F(RehearsalTest, StopsWhenAsked) {
  Watcher watcher;
  int calls = 0;
  watcher.should_stop = [&] { return ++calls == 2; };
  EXPECT_THROW(made(7, watcher), EvaluationInterrupted);
}

}  // namespace
}  // namespace mformer
