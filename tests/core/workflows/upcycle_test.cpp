// Upcycling a version: what it reports, stores and remembers, with and without training.

#include "core/workflows/upcycle.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "core/model/forward.h"
#include "core/workflows/undo.h"
#include "tests/support/expect_error.h"
#include "tests/support/tiny_workspace.h"
#include "tests/support/tolerance.h"

namespace mformer {
namespace {

using testing::expect_error;
using testing::kFloat32;
using testing::relative_error;
using testing::same_bits;
using testing::TinyWorkspace;

class UpcycleTest : public ::testing::Test {
 protected:
  UpcycleTest() {
    workspace_.folder().write("config.json", R"({"model_type":"llama","vocab_size":1,"hidden_size":16,
        "num_attention_heads":4,"num_key_value_heads":2,"num_hidden_layers":2,"intermediate_size":24,
        "max_position_embeddings":24,"initializer_range":0.3})");
    InitOptions options;
    options.config = (workspace_.folder() / "config.json").string();
    options.tokenizer = (workspace_.folder() / "tokenizer.json").string();
    options.model = "dense";
    Session session = workspace_.session("init");
    init_model(session, options);
    base_ = workspace_.load("dense");
  }

  static UpcycleCommand copies() {
    UpcycleCommand command;
    command.experts = 3, command.k = 2, command.eval_tokens = 200;
    command.options.batch_size = 2;
    command.options.learning_rate = 3e-3;
    return command;
  }
  UpcycleCommand slices(std::int64_t k, std::int64_t steps) const {
    UpcycleCommand command = copies();
    command.experts = 0, command.slices = 4, command.k = k, command.steps = steps;
    command.task = "german", command.data = workspace_.corpus("german");
    if (steps > 0) command.loss.distill = 1;
    return command;
  }
  UpcycleReport run(const UpcycleCommand& command) {
    Session session = workspace_.session("upcycle");
    return upcycle(session, base_, command);
  }
  static at::Tensor logits(const Model& model) {
    return logits_of(model, forward(model, testing::tiny_ids(2, 20)).hidden);
  }

  TinyWorkspace workspace_;
  LoadedVersion base_;
};

TEST_F(UpcycleTest, CopiesAreADenseVersionAtOnceAndBornOfItsSlices) {
  const UpcycleReport report = run(copies());
  const LoadedVersion now = workspace_.load("dense");
  EXPECT_EQ(report.version->hash, now.record.hash);
  EXPECT_LE(relative_error(logits(now.model), logits(base_.model)), kFloat32);
  EXPECT_LE(report.difference, kFloat32 * report.largest_logit);
  EXPECT_EQ(report.family, "mixtral");
  EXPECT_EQ(now.model.config.aux_loss_weight, UpcyclePlan::kBalance);
  for (const Module& module : now.model.blocks[1].mlp.modules) {
    const ModuleRecord record = workspace_.registry().module(module.uid);
    EXPECT_EQ(record.born_command, "upcycle");
    for (const Module& source : base_.model.blocks[1].mlp.modules) {
      EXPECT_NE(record.copied_from.find(source.uid), std::string::npos);
    }
  }
  EXPECT_EQ(now.manifest.parts, base_.manifest.parts) << "the trunk stays the same objects";
  EXPECT_EQ(now.manifest.layers[0].att, base_.manifest.layers[0].att);
  const auto& stored = now.manifest.layers[0].mlp;
  EXPECT_EQ(stored[0].object_hash, stored[2].object_hash) << "equal copies are stored once";
  EXPECT_NE(stored[0].uid, stored[2].uid);
}

TEST_F(UpcycleTest, SaysTheLossBeforeJustAfterToldApartAndAfterTraining) {
  UpcycleCommand command = copies();
  command.noise = 0.3, command.steps = 6, command.task = "german", command.data = workspace_.corpus("german");
  const UpcycleReport report = run(command);
  ASSERT_TRUE(report.dense && report.exact && report.apart && report.after);
  EXPECT_NEAR(report.exact->loss, report.dense->loss, 1e-5);
  EXPECT_GT(std::abs(report.apart->loss - report.dense->loss), 1e-4) << "noise is felt";
  EXPECT_LT(report.after->loss, report.apart->loss) << "it has learned";
  EXPECT_EQ(report.training->tokens, 6 * 2 * 24);
  const LoadedVersion now = workspace_.load("dense");
  EXPECT_FALSE(now.model.blocks[0].mlp.modules[0].in.equal(now.model.blocks[0].mlp.modules[1].in));
  const auto task = std::find_if(report.tasks.begin(), report.tasks.end(),
                                 [](const TaskChange& change) { return change.task == "german"; });
  EXPECT_EQ(task->before, report.dense->loss);
  EXPECT_EQ(task->after, report.after->loss);
}

TEST_F(UpcycleTest, RoutersAloneTellExactCopiesApartInTraining) {
  UpcycleCommand command = copies();
  command.steps = 3, command.task = "german", command.data = workspace_.corpus("german");
  EXPECT_FALSE(run(command).apart.has_value());
  const LoadedVersion now = workspace_.load("dense");
  const auto& modules = now.model.blocks[0].mlp.modules;
  EXPECT_FALSE(modules[0].in.equal(modules[1].in));
}

TEST_F(UpcycleTest, AllSlicesAreTheDenseVersionAndNeedNoText) {
  UpcycleCommand command = slices(4, 0);
  command.task = command.data = "";
  run(command);
  const LoadedVersion now = workspace_.load("dense");
  EXPECT_LE(relative_error(logits(now.model), logits(base_.model)), kFloat32);
  EXPECT_EQ(now.model.config.k_mlp, 4);
}

TEST_F(UpcycleTest, FittedRoutersLoseLessThanAnyRows) {
  double fitted = 0, random = 0;
  for (const std::int64_t k : {2, 3}) {
    const UpcycleReport report = run(slices(k, 0));
    fitted += report.after->loss - report.dense->loss;
    Model model = clone(upcycled(base_.model, slices(k, 0).plan()));  // units as they lie
    at::Generator generator = at::detail::createCPUGenerator(3);
    for (Block& block : model.blocks) {
      for (Module& module : block.mlp.modules) module.row.normal_(0, 0.02, generator);
    }
    choose_slices(model, {0, 1}, k);
    Session session = workspace_.session("eval");
    const TaskData task = open_task(session, *base_.tokenizer, "german", "");
    random += evaluate_task(session, model, task, Split::held_out, 200)->loss - report.dense->loss;
  }
  EXPECT_LT(fitted, random);
}

TEST_F(UpcycleTest, WhatFittedRoutersChooseIsAddedUpUnchanged) {
  run(slices(2, 0));
  const Model model = workspace_.load("dense").model;
  for (const BlockTrace& block : forward(model, testing::tiny_ids(2, 20)).routing) {
    const at::Tensor gates = block.mlp.decision.gates;
    // Slices are multiplied by k: a gate that is not 1 / k makes what it lets through too large or too small. 1 % is
    // far above what float32 rounds by, and far below what one slice of two is.
    EXPECT_LE((gates * 2 - 1).abs().max().item<double>(), 0.01);
    EXPECT_GT((block.mlp.decision.logits.max() - block.mlp.decision.logits.min()).item<double>(), 0)
        << "chosen by nothing";
  }
}

TEST_F(UpcycleTest, FewerAndFewerSlicesAreChosenWhileItLearnsFromTheDenseVersion) {
  const UpcycleReport report = run(slices(2, 12));
  const LoadedVersion now = workspace_.load("dense");
  EXPECT_EQ(now.model.config.k_mlp, 2);
  EXPECT_EQ(now.model.blocks[0].mlp.k, 2);
  EXPECT_NEAR(report.exact->loss, report.dense->loss, 1e-5);
  const UpcycleReport at_once = run(slices(2, 0));
  EXPECT_LT(report.after->loss, at_once.after->loss);
}

TEST(SlicesAt, GoesFromAllToKOverItsShareOfTheSteps) {
  std::vector<std::int64_t> chosen;
  for (std::int64_t step = 0; step < 10; ++step) chosen.push_back(slices_at(step, 10, 0.6, 8, 4));
  EXPECT_EQ(chosen, (std::vector<std::int64_t>{8, 7, 6, 6, 5, 4, 4, 4, 4, 4}));
  EXPECT_EQ(slices_at(0, 1, 0.5, 8, 4), 4);
  EXPECT_EQ(slices_at(0, 10, 0, 8, 4), 4);
  EXPECT_EQ(slices_at(9, 10, 1, 8, 4), 4);
}

TEST_F(UpcycleTest, CutAndRunAgainItHasTheBitsOfAWholeRun) {
  UpcycleCommand command = slices(1, 10);
  command.lower = 1;
  command.into = "whole";
  run(command);
  for (const std::int64_t at : {2, 5, 9}) {
    command.into = "cut" + std::to_string(at);
    Session session = workspace_.session("upcycle");
    bool stop = false;
    session.watcher.progress = [&](const std::string& stage, std::int64_t done, std::int64_t, double, double) {
      stop = stage == "upcycle" && done >= at;
    };
    session.watcher.should_stop = [&] { return stop; };
    EXPECT_THROW(upcycle(session, base_, command), TrainingInterrupted);
    const UpcycleReport report = run(command);
    EXPECT_EQ(report.training->first_step, at);
    EXPECT_TRUE(same_bits(workspace_.load(command.into).model, workspace_.load("whole").model)) << at;
    EXPECT_EQ(workspace_.load(command.into).model.config.k_mlp, 1);
  }
}

TEST_F(UpcycleTest, IsTakenBackByUndo) {
  run(copies());
  Session session = workspace_.session("undo");
  undo(session, "dense", plan_undo(workspace_.registry(), "dense"));
  EXPECT_TRUE(same_bits(workspace_.load("dense").model, base_.model));
}

TEST_F(UpcycleTest, ADryRunWritesNothing) {
  UpcycleCommand command = slices(2, 5);
  command.dry_run = true;
  const UpcycleReport report = run(command);
  EXPECT_FALSE(report.version.has_value());
  EXPECT_GT(report.memory->total(), 0);
  EXPECT_LE(report.difference, kFloat32 * report.largest_logit);
  EXPECT_EQ(workspace_.load("dense").record.hash, base_.record.hash);
}

TEST_F(UpcycleTest, RefusesFlagsThatMeanNothingTogether) {
  const auto misused = [&](const UpcycleCommand& command, const std::string& what) {
    return expect_error<UsageError>([&] { run(command); }, what);
  };
  UpcycleCommand both = slices(2, 0), noisy = slices(2, 0), textless = slices(2, 0), trained = copies();
  both.experts = 4;
  misused(both, "one of the two");
  noisy.noise = 0.1;
  misused(noisy, "--noise is for copies");
  textless.task = textless.data = "";
  EXPECT_NE(misused(textless, "learned from text").find("--k 4"), std::string::npos);
  trained.steps = 3;
  misused(trained, "--steps train on a task");
  UpcycleCommand distilled = copies();
  distilled.loss.distill = 1;
  misused(distilled, "--distill needs steps");
  const LoadedVersion routed = workspace_.load("base");
  Session session = workspace_.session("upcycle");
  expect_error<Error>([&] { upcycle(session, routed, copies()); }, "has a router already");
}

}  // namespace
}  // namespace mformer
