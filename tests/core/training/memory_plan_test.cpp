// What a plan says of memory, against the bytes that tensors and a device really take.

#include "core/training/memory_plan.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "core/model/placement.h"
#include "core/training/training_copy.h"
#include "tests/core/training/training_process.h"
#include "tests/support/make_believe_device.h"
#include "tests/support/threads.h"

namespace mformer {
namespace {

using testing::make_believe_device;

/// Large enough that tensors of activations are not lost among small ones.
ModelConfig wide_config() {
  ModelConfig config = testing::tiny_config();
  config.vocab_size = 400;
  config.block_size = config.history_length = 96;
  config.n_embd = 96;
  config.n_layer = 3;
  config.att_hidden = 64;
  config.ffd_hidden = 128;
  config.gating_size = 32;
  return config;
}

bool is_anything(const ParameterRef&) {
  return true;
}

bool is_late_module(const ParameterRef& ref) {
  return ref.part == ParameterRef::Part::module && ref.layer > 0;
}

std::int64_t bytes_of(Model& model, bool trained) {
  std::int64_t bytes = 0;
  for_each_parameter(model, [&](const ParameterRef& ref) {
    if (ref.tensor->requires_grad() == trained) bytes += static_cast<std::int64_t>(ref.tensor->nbytes());
  });
  return bytes;
}

struct Case {
  TrainFilter filter;
  bool bfloat16;
};

class MemoryPlanTest : public ::testing::TestWithParam<Case> {
 protected:
  MemoryPlanTest() : threads_(1) {
    make_trainable(model_, GetParam().filter);
    options_.steps = 2;
    options_.batch_size = 4;
    options_.context = 96;
    options_.bfloat16 = GetParam().bfloat16;
  }

  testing::ThreadCount threads_;
  Model model_ = testing::tiny_model(wide_config());
  TrainOptions options_;
};

TEST_P(MemoryPlanTest, NamesTheBytesOfWeightsGradientsAndMomentsExactly) {
  const MemoryPlan plan = plan_memory({model_, options_, make_believe_device(), true});
  const std::int64_t before = testing::make_believe_bytes();
  TrainingCopy copy(model_, make_believe_device(), options_.bfloat16, GetParam().filter);
  EXPECT_EQ(plan.trained_weights + plan.frozen_weights, testing::make_believe_bytes() - before);
  const auto parameters = make_trainable(copy.model(), GetParam().filter);
  EXPECT_EQ(plan.trained_weights, bytes_of(copy.model(), true));
  EXPECT_EQ(plan.frozen_weights, bytes_of(copy.model(), false));
  EXPECT_EQ(plan.optimizer, AdamW(parameters, {}).state_bytes());
  std::int64_t gradients = 0;
  for (const TrainedParameter& one : parameters) gradients += static_cast<std::int64_t>(one.tensor.nbytes());
  EXPECT_EQ(plan.gradients, gradients);
  EXPECT_EQ(plan.evaluation, size_of(model_).bytes);
}

TEST_P(MemoryPlanTest, IsNearThePeakOfADevice) {
  const MemoryPlan plan = plan_memory({model_, options_, make_believe_device(), true});
  const std::int64_t before = testing::make_believe_bytes();
  TrainingCopy copy(model_, make_believe_device(), options_.bfloat16, GetParam().filter);
  TrainTask task;
  task.model = &copy.model();
  task.parameters = make_trainable(copy.model(), GetParam().filter);
  task.batches = [](std::int64_t step) {
    at::Generator generator = at::detail::createCPUGenerator(static_cast<std::uint64_t>(step));
    const at::Tensor ids = at::empty({4, 97}, at::kLong).random_(0, 400, generator);
    return Batch{ids.narrow(1, 0, 96).contiguous(), ids.narrow(1, 1, 96).contiguous(), {}, {}, {}, 0};
  };
  testing::reset_make_believe_peak();
  train(task, options_, {});
  const auto peak = static_cast<double>(testing::make_believe_peak() - before);
  const auto planned = static_cast<double>(plan.total());
  RecordProperty("peak", std::to_string(peak / planned));
  // What a plan says fits must fit; working memory and activations are not largest at the same time.
  EXPECT_LT(peak, 1.02 * planned);
  EXPECT_GT(peak, 0.7 * planned);
}

INSTANTIATE_TEST_SUITE_P(Trainings, MemoryPlanTest,
                         ::testing::Values(Case{is_anything, false}, Case{is_anything, true},
                                           Case{is_late_module, false}, Case{is_late_module, true}));

TEST(MemoryPlan, CountsOnTheCpuWhatStaysThereBesides) {
  Model model = testing::tiny_model();
  make_trainable(model, is_late_module);
  TrainOptions options;
  const MemoryPlan plan = plan_memory({model, options, at::kCPU, false, &model});
  EXPECT_EQ(plan.frozen_weights + plan.trained_weights, size_of(model).bytes);
  EXPECT_EQ(plan.base_weights, size_of(model).bytes);
  const std::int64_t maps = 4 * (4 * 2 * 16 * 8 + 5 * 2 * 16 * 12);  // of one layer
  EXPECT_EQ(plan.packed_weights, 2 * maps);
  EXPECT_EQ(plan.teacher_weights, 2 * maps);
}

TEST(MemoryPlan, GrowsWithTheBatchInActivationsAlone) {
  Model model = testing::tiny_model();
  make_trainable(model, is_anything);
  TrainOptions small, large;
  small.batch_size = 8, large.batch_size = 16;
  const MemoryPlan a = plan_memory({model, small, at::kCPU}), b = plan_memory({model, large, at::kCPU});
  EXPECT_EQ(2 * a.activations, b.activations);
  EXPECT_EQ(a.trained_weights, b.trained_weights);
  EXPECT_EQ(a.optimizer, b.optimizer);
}

}  // namespace
}  // namespace mformer
