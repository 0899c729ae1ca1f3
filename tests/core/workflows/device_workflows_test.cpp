// Every workflow that runs a model, on a device whose memory nothing but LibTorch may touch: it gives what the CPU
// gives.

#include "core/checkpoint/tensor_io.h"
#include "core/workflows/extend.h"
#include "core/workflows/finetune.h"
#include "core/workflows/generate.h"
#include "core/workflows/keep_curve.h"
#include "core/workflows/probe.h"
#include "core/workflows/prune.h"
#include "tests/core/workflows/branches.h"
#include "tests/core/workflows/devices.h"

namespace mformer {
namespace {

using testing::Devices;
using testing::expect_same_tasks;
using testing::make_believe_device;
using testing::TinyWorkspace;

/// Losses of the two devices' models after a few steps at a high rate, whose gradients differ in rounding.
constexpr double kLoss = 2e-3;
/// Their weights: AdamW's first steps divide by the square root of squares that are nearly zero, so that the sign of a
/// gradient that is all rounding decides a whole step of 1e-2.
constexpr double kWeights = 2e-2;
/// Products in bfloat16, summed in another order and rounded at every layer.
constexpr double kBFloat16Loss = 3e-2;

template <typename Command>
Command short_command(const TinyWorkspace& workspace) {
  Command command;
  command.task = "german";
  command.data = workspace.corpus("german");
  command.eval_tokens = 200;
  if constexpr (requires { command.options.steps; }) command.options.steps = 4;
  command.options.batch_size = 2;
  command.options.learning_rate = 1e-2;
  return command;
}

TEST(OnADevice, TrainLearnsWhatItLearnsOnTheCpu) {
  for (const bool bfloat16 : {false, true}) {
    Devices devices;
    const auto [cpu, other] = devices.both("train", [&](TinyWorkspace& workspace, Session& session) {
      auto command = short_command<PretrainCommand>(workspace);
      command.pools = 2;
      command.options.bfloat16 = bfloat16;
      command.options.eval_every = 2;
      return pretrain(session, workspace.load(), command);
    });
    const double tolerance = bfloat16 ? kBFloat16Loss : kLoss;
    EXPECT_NEAR(cpu.training.loss, other.training.loss, tolerance);
    EXPECT_NEAR(*cpu.training.validation_loss, *other.training.validation_loss, tolerance);
    expect_same_tasks(cpu.tasks, other.tasks, tolerance);
    if (!bfloat16) devices.expect_same_versions(kWeights);
  }
}

TEST(OnADevice, ExtendAddsTheSameDomain) {
  for (const bool bfloat16 : {false, true}) {
    Devices devices;
    devices.add_task("english");
    const auto [cpu, other] = devices.both("extend", [&](TinyWorkspace& workspace, Session& session) {
      auto command = short_command<ExtendCommand>(workspace);
      command.options.bfloat16 = bfloat16;
      return extend(session, workspace.load(), command);
    });
    const double tolerance = bfloat16 ? kBFloat16Loss : kLoss;
    EXPECT_EQ(cpu.new_att, other.new_att);
    EXPECT_EQ(cpu.new_mlp, other.new_mlp);
    EXPECT_NEAR(cpu.use, other.use, 0.02);
    expect_same_tasks(cpu.tasks, other.tasks, tolerance);
    if (!bfloat16) devices.expect_same_versions(kWeights);
    const LoadedVersion base = devices.other.load("base@1"), now = devices.other.load();
    EXPECT_EQ(base.manifest.layers[0].att[0], now.manifest.layers[0].att[0]) << "what is frozen keeps its object";
  }
}

TEST(OnADevice, ExtendPlacesAndTrainsTheSameSingleMask) {
  for (const bool bfloat16 : {false, true}) {
    Devices devices;
    devices.add_task("english");
    const auto [cpu, other] = devices.both("extend", [&](TinyWorkspace& workspace, Session& session) {
      auto command = short_command<ExtendCommand>(workspace);
      command.single_mask = true;
      command.experts = 2, command.heads = 1;
      command.replay = 0.5, command.memory = 1, command.penalty = 0.1;
      command.token_rows = 3;
      command.review_steps = 2;
      command.options.bfloat16 = bfloat16;
      return extend(session, workspace.load(), command);
    });
    const double tolerance = bfloat16 ? kBFloat16Loss : kLoss;
    EXPECT_EQ(cpu.trainable.total(), other.trainable.total());
    EXPECT_NEAR(cpu.use, other.use, 0.02);
    expect_same_tasks(cpu.tasks, other.tasks, tolerance);
    if (!bfloat16) devices.expect_same_versions(kWeights);
  }
}

TEST(OnADevice, ExtendRehearsesTheSameTexts) {
  Devices devices;
  devices.add_task("english");
  const auto [cpu, other] = devices.both("extend", [&](TinyWorkspace& workspace, Session& session) {
    auto command = short_command<ExtendCommand>(workspace);
    command.single_mask = true;
    command.experts = 2, command.heads = 1;
    command.memory = 1, command.rehearse = 1;
    command.review_steps = 0;
    return extend(session, workspace.load(), command);
  });
  expect_same_tasks(cpu.tasks, other.tasks, kLoss);
  devices.expect_same_versions(kWeights);
}

TEST(OnADevice, PruneKeepsTheSameModulesAndTunesThemAlike) {
  for (const bool bfloat16 : {false, true}) {
    Devices devices;
    const auto [cpu, other] = devices.both("prune", [&](TinyWorkspace& workspace, Session& session) {
      auto command = short_command<PruneCommand>(workspace);
      command.keep = 0.5;
      command.stat_tokens = 300;
      command.criterion = Criterion::reap;
      command.tune_steps = 4;
      command.loss.distill = 0.5, command.loss.temperature = 2;
      command.options.bfloat16 = bfloat16;
      return prune(session, workspace.load(), command);
    });
    EXPECT_EQ(cpu.kept.att, other.kept.att);
    EXPECT_EQ(cpu.kept.mlp, other.kept.mlp);
    expect_same_tasks(cpu.tasks, other.tasks, bfloat16 ? kBFloat16Loss : kLoss);
    if (!bfloat16) devices.expect_same_versions(kWeights);
  }
}

TEST(OnADevice, FinetuneLeavesWhatIsFrozenItsBits) {
  Devices devices;
  const auto [cpu, other] = devices.both("finetune", [&](TinyWorkspace& workspace, Session& session) {
    auto command = short_command<FinetuneCommand>(workspace);
    command.modules = "kind=mlp,layer=1";
    command.options.bfloat16 = true;
    command.loss.concentrate = 0.1, command.loss.sharpen = 0.1, command.loss.distill = 0.5;
    return finetune(session, workspace.load(), command);
  });
  EXPECT_EQ(cpu.trainable.total(), other.trainable.total());
  expect_same_tasks(cpu.tasks, other.tasks, kBFloat16Loss);
  const LoadedVersion base = devices.other.load("base@1"), now = devices.other.load();
  EXPECT_EQ(base.manifest.parts, now.manifest.parts);
  EXPECT_EQ(base.manifest.layers[0], now.manifest.layers[0]);
  EXPECT_EQ(base.manifest.layers[1].att, now.manifest.layers[1].att);
  EXPECT_NE(base.manifest.layers[1].mlp, now.manifest.layers[1].mlp);
}

TEST(OnADevice, AnInterruptedRunGoesOnWithTheLossesOfOneThatWasNeverCut) {
  Devices devices;
  const auto run = [&](TinyWorkspace& workspace, Session& session, std::int64_t stop_after) {
    auto command = short_command<PretrainCommand>(workspace);
    std::int64_t asked = 0;
    session.watcher.should_stop = [&] { return ++asked == stop_after; };
    return pretrain(session, workspace.load("base@1"), command).training.loss;
  };
  Session session = devices.other.session("train");
  session.device = make_believe_device();
  EXPECT_THROW(run(devices.other, session, 3), TrainingInterrupted);
  const double resumed = run(devices.other, session, -1);
  Session whole = devices.cpu.session("train");
  whole.device = make_believe_device();
  EXPECT_EQ(resumed, run(devices.cpu, whole, -1));
}

TEST(OnADevice, TheKeepCurveIsTheSame) {
  Devices devices;
  devices.add_task("german");
  const auto [cpu, other] = devices.both("inspect keep-curve", [&](TinyWorkspace& workspace, Session& session) {
    KeepCurveCommand command;
    command.task = "german";
    command.fractions = {1, 0.5};
    command.criteria = {Criterion::gate_mass, Criterion::norm};
    command.max_tokens = command.stat_tokens = 200;
    return keep_curve(session, workspace.load(), command);
  });
  for (std::size_t i = 0; i < cpu.points.size(); ++i) EXPECT_NEAR(cpu.points[i].mean, other.points[i].mean, 1e-4);
}

Generated text_of(const LoadedVersion& version, at::Device device, const std::string& dtype, double temperature) {
  GenerateOptions options;
  options.prompt = "In the beginning";
  options.max_tokens = 10;
  options.temperature = temperature;
  options.dtype = dtype;
  options.device = device;
  return generate(version, options, {}, {});
}

TEST(OnADevice, GenerateWritesTheSameText) {
  TinyWorkspace workspace;
  const LoadedVersion version = workspace.load();
  const auto expect_same = [&](const char* dtype, double temperature) {
    const Generated cpu = text_of(version, at::kCPU, dtype, temperature);
    EXPECT_EQ(cpu.text, text_of(version, make_believe_device(), dtype, temperature).text) << dtype << temperature;
  };
  expect_same("float32", 0);
  expect_same("float32", 0.8);
  expect_same("bfloat16", 0);
  EXPECT_THROW(text_of(version, make_believe_device(), "int8", 0), UsageError);
}

TEST(OnADevice, GenerateMixesTheSameHypotheses) {
  testing::Branches branches;
  branches.add_domain("base", "base", "german", 3);
  const LoadedVersion version = branches.load("base");
  const Generated cpu = text_of(version, at::kCPU, "", 0), other = text_of(version, make_believe_device(), "", 0);
  EXPECT_EQ(cpu.text, other.text);
  ASSERT_EQ(cpu.weights.size(), 2);
  EXPECT_NEAR(cpu.weights[1], other.weights[1], 1e-3);
}

TEST(OnADevice, ProbeWritesTheSameNumbers) {
  testing::Branches branches;
  const Model plain = branches.load("base").model;
  branches.add_domain("base", "base", "german", 3);
  const Model mixture = branches.load("base").model;
  const auto& folder = branches.workspace().folder();
  const at::Tensor ids = testing::tiny_ids(2, 9);
  write_safetensors(folder / "ids.safetensors", to_write(std::vector<NamedTensor>{{"input_ids", ids}}));
  for (const Model& model : {plain, mixture}) {
    ProbeOptions options;
    options.input = (folder / "ids.safetensors").string();
    options.gradients = model.domains.empty();
    options.output = (folder / "cpu.safetensors").string();
    const ProbeReport cpu = probe(model, options);
    options.output = (folder / "device.safetensors").string();
    options.device = make_believe_device();
    const ProbeReport other = probe(model, options);
    EXPECT_NEAR(cpu.loss, other.loss, 1e-5);
    const auto expected = SafetensorsFile::open(folder / "cpu.safetensors");
    const auto actual = SafetensorsFile::open(folder / "device.safetensors");
    ASSERT_EQ(expected.tensors().size(), actual.tensors().size());
    for (const auto& view : expected.tensors()) {
      EXPECT_LE(testing::relative_error(to_tensor(actual.get(view.name)), to_tensor(view)), 1e-4) << view.name;
    }
  }
}

}  // namespace
}  // namespace mformer
