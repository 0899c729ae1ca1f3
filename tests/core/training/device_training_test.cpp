// Training on a device other than the CPU: what is drawn at random, what is copied there, and what comes back.

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "core/model/placement.h"
#include "core/training/evaluate.h"
#include "core/training/training_copy.h"
#include "kernels/stacked_weights.h"
#include "tests/core/training/training_process.h"
#include "tests/support/make_believe_device.h"
#include "tests/support/threads.h"
#include "tests/support/tolerance.h"

namespace mformer {
namespace {

using testing::make_believe_device;
using testing::same_bits;
using testing::tiny_model;

bool is_of_mlp_module(const ParameterRef& ref) {
  return ref.part == ParameterRef::Part::module && ref.kind == Kind::mlp;
}

TEST(OnDevice, MovesEveryTensorOfAModelAndBack) {
  const Model model = tiny_model();
  Model there = on_device(model, make_believe_device());
  for_each_parameter(there, [](const ParameterRef& ref) { EXPECT_EQ(ref.tensor->device(), make_believe_device()); });
  EXPECT_TRUE(same_bits(on_device(there, at::kCPU), model));
}

TEST(OnDevice, LaysBFloat16ModulesSideBySide) {
  Model model = tiny_model();
  make_matrices_bfloat16(model, [](const ParameterRef& ref) { return ref.module == 2; });
  const Model there = on_device(model, make_believe_device());
  const auto& modules = there.blocks[0].mlp.modules;
  EXPECT_TRUE(kernels::as_one({modules[0].in, modules[1].in}).defined());
  EXPECT_TRUE(kernels::as_one({modules[3].out, modules[4].out}).defined());
  EXPECT_FALSE(kernels::as_one({modules[1].in, modules[2].in}).defined());
  EXPECT_TRUE(same_bits(on_device(there, at::kCPU), model));
}

TEST(OnDevice, KeepsATiedHeadTied) {
  ModelConfig config = testing::tiny_config();
  config.tie_word_embeddings = true;
  const Model there = on_device(tiny_model(config), make_believe_device());
  EXPECT_TRUE(there.lm_head.is_same(there.wte));
}

TEST(Train, DrawsTheSameDropoutAndModulesOnEveryDevice) {
  const testing::ThreadCount threads(1);
  testing::TrainingProcess cpu, other;
  cpu.run();
  TrainingCopy copy(other.model, make_believe_device(), false, [](const ParameterRef&) { return true; });
  other.task.model = &copy.model();
  other.task.parameters = make_trainable(copy.model(), [](const ParameterRef&) { return true; });
  other.run();
  // Another dropout mask would show in the second digit.
  for (std::size_t i = 0; i < cpu.reports.size(); ++i) {
    EXPECT_NEAR(cpu.reports[i].loss, other.reports[i].loss, 1e-4) << i;
    EXPECT_NEAR(cpu.reports[i].gradient_norm, other.reports[i].gradient_norm, 1e-3) << i;
  }
}

TEST(TrainingCopy, IsTheModelItselfOnTheCpu) {
  Model model = tiny_model();
  TrainingCopy copy(model, at::kCPU, true, is_of_mlp_module);
  EXPECT_EQ(&copy.model(), &model);
  copy.bring_back();
  EXPECT_TRUE(same_bits(model, tiny_model()));
}

TEST(TrainingCopy, HoldsFrozenMatricesAsBFloat16OnlyAndTrainedOnesAsTheyAre) {
  Model model = tiny_model();
  model.blocks[0].mlp.modules[1].frozen = true;
  const std::int64_t before = testing::make_believe_bytes();
  TrainingCopy copy(model, make_believe_device(), true, is_of_mlp_module);
  std::int64_t expected = 0;
  for_each_parameter(copy.model(), [&](const ParameterRef& ref) {
    const bool frozen = !is_of_mlp_module(ref) || (ref.layer == 0 && ref.module == 1);
    const bool small = frozen && is_product_matrix(ref);
    EXPECT_EQ(ref.tensor->scalar_type(), small ? at::kBFloat16 : at::kFloat) << ref.name;
    expected += ref.tensor->numel() * (small ? 2 : 4);
  });
  EXPECT_EQ(testing::make_believe_bytes() - before, expected) << "no other copy is left there";
}

TEST(TrainingCopy, BringsBackWhatWasTrainedAndNothingElse) {
  Model model = tiny_model();
  TrainingCopy copy(model, make_believe_device(), true, is_of_mlp_module);
  for_each_parameter(copy.model(), [](const ParameterRef& ref) { ref.tensor->add_(1.0); });
  copy.bring_back();
  Model before = tiny_model();
  const auto was = parameters(before), is = parameters(model);
  for (std::size_t i = 0; i < is.size(); ++i) {
    EXPECT_TRUE(is[i].tensor->device().is_cpu());
    EXPECT_TRUE(is[i].tensor->equal(is_of_mlp_module(is[i]) ? *was[i].tensor + 1.0 : *was[i].tensor)) << is[i].name;
  }
}

TEST(MatricesInBFloat16, GiveTheLossesOfMatricesThatAreRoundedInEveryStep) {
  const Model model = tiny_model();
  Model small = model;
  make_matrices_bfloat16(small);
  const PackedWindows windows = testing::tiny_windows();
  const testing::ThreadCount threads(1);
  EvaluateOptions options;
  options.max_tokens = 240;
  const double as_told = evaluate(small, windows, options).loss;
  options.bfloat16 = true;
  // Not the same bits: biases beside the matrices are rounded as well.
  EXPECT_NEAR(as_told, evaluate(model, windows, options).loss, 2e-3);
  const Model there = on_device(small, make_believe_device());
  EXPECT_NEAR(as_told, evaluate(there, windows, options).loss, 5e-3);
}

}  // namespace
}  // namespace mformer
