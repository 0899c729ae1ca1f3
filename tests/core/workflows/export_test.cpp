// Exporting in 8 and 4 bits and going on with what was imported from it: one file, since all begin with that export.

#include "core/workflows/export.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include "core/checkpoint/quantize.h"
#include "core/model/forward.h"
#include "core/model/inference.h"
#include "core/workflows/evaluate_tasks.h"
#include "core/workflows/extend.h"
#include "core/workflows/finetune.h"
#include "core/workflows/probe.h"
#include "core/workflows/prune.h"
#include "kernels/quantised_blocks.h"
#include "tests/support/expect_error.h"
#include "tests/support/tiny_workspace.h"
#include "tests/support/tolerance.h"

namespace mformer {
namespace {

using testing::expect_error;
using testing::same_bits;
using testing::tiny_ids;
using testing::TinyWorkspace;

class Int8Export : public ::testing::Test {
 protected:
  ExportReport write(const std::string& folder, const ExportOptions& options, const std::string& ref = "base") {
    ExportOptions named = options;
    named.folder = (workspace_.folder() / folder).string();
    Session session = workspace_.session("export");
    return export_model(session, workspace_.registry().resolve(ref), named);
  }
  static ExportOptions int8() {
    ExportOptions options;
    options.quantize = "int8";
    options.max_tokens = 300;
    return options;
  }
  /// The model "int8", imported from an int8 export of base.
  LoadedVersion imported() {
    write("int8", int8());
    import_model("int8");
    return workspace_.load("int8");
  }
  void import_model(const std::string& name) {
    InitOptions options;
    options.from = (workspace_.folder() / name).string();
    options.model = name;
    Session session = workspace_.session("import");
    init_model(session, options);
  }
  std::string bytes_of(const std::string& folder) {
    return read_file(workspace_.folder() / (folder + "/model.safetensors"));
  }
  /// Trains base a little, so that its losses are no accident of its first weights.
  void train_base() {
    PretrainCommand command;
    command.task = "english";
    command.data = workspace_.corpus("english");
    command.options.steps = 20;
    command.options.batch_size = 4;
    command.options.learning_rate = 1e-2;
    command.eval_tokens = 200;
    Session session = workspace_.session("train");
    pretrain(session, workspace_.load("base"), command);
  }

  TinyWorkspace workspace_;
};

TEST_F(Int8Export, IsReadBackWithTheBlocksOfEveryMatrixButTheRouters) {
  for (const int bits : {8, 4}) {
    const std::string name = bits == 8 ? "int8" : "int4";
    ExportOptions options = int8();
    options.quantize = name;
    write(name, options);
    import_model(name);
    Model expected = workspace_.load("base").model, back = workspace_.load(name).model;
    EXPECT_EQ(size_of(back).weights, size_of(expected).weights);
    EXPECT_EQ(back.config.torch_dtype, "bfloat16");
    EXPECT_EQ(back.config.block_bits(), bits);
    EXPECT_TRUE(back.wte.equal(kernels::quantize_blocks(expected.wte, 8)));
    EXPECT_TRUE(back.lm_head.equal(kernels::quantize_blocks(expected.lm_head, 8)));
    const Block &block = back.blocks[1], &from = expected.blocks[1];
    EXPECT_TRUE(block.k_proj.weight.equal(kernels::quantize_blocks(from.k_proj.weight, bits)));
    EXPECT_TRUE(block.mlp.modules[2].in.equal(kernels::quantize_blocks(from.mlp.modules[2].in.t(), bits)));
    EXPECT_TRUE(block.att.modules[0].out.equal(kernels::quantize_blocks(from.att.modules[0].out.t(), bits)));
    EXPECT_TRUE(block.mlp.router.weight.equal(from.mlp.router.weight.to(at::kBFloat16)));
  }
}

/// How far logits [..., vocabulary] of the middle token are off. A router's choice is discrete: where rounding sends a
/// token to another module, its logits are others, which says nothing of the rounding.
double middle_error(const at::Tensor& actual, const at::Tensor& expected) {
  return ((actual - expected).norm(2, -1) / expected.norm(2, -1)).median().item<double>();
}

TEST_F(Int8Export, ComputesAsTheModelOfItsValuesDoes) {
  for (const char* name : {"int8", "int4"}) {
    ExportOptions options = int8();
    options.quantize = name;
    options.dtype = "float32";
    write(name, options);
    import_model(name);
    const at::NoGradGuard no_grad;
    const Model coded = workspace_.load(name).model, before = workspace_.load("base").model;
    Model values = coded;
    dequantize(values, at::kFloat);
    const auto logits = [](const auto& model) { return logits_of(model, forward(model, tiny_ids(2, 20)).hidden); };
    EXPECT_TRUE(logits(coded).equal(logits(values))) << name;
    const double distance = middle_error(logits(coded), logits(before));
    // Half a step of 127 of a group's largest weight, or of 15 of its range, and products of such sums.
    EXPECT_LE(distance, std::string(name) == "int8" ? 0.02 : 0.25) << name;
    EXPECT_GT(distance, 0);
    const PreparedModel packed = prepare_for_inference(coded, at::kChar);
    EXPECT_EQ(packed.head.bits, 8);
    EXPECT_EQ(packed.blocks[0].mlp.in[0].bits, std::string(name) == "int8" ? 8 : 4);
    EXPECT_LE(middle_error(logits(packed), logits(values)), testing::kBFloat16) << name;
    EXPECT_LE(testing::relative_error(logits(prepare_for_inference(coded, at::kFloat)), logits(values)),
              testing::kFloat32);
  }
}

TEST_F(Int8Export, ForTransformersKeepsTheCodesByOutputChannel) {
  ExportOptions options = int8();
  options.layout = "transformers";
  write("old", options);
  import_model("old");
  const LoadedVersion back = workspace_.load("old");
  Model expected = workspace_.load("base").model;
  quantize(expected);
  convert(expected, at::kBFloat16);
  EXPECT_TRUE(same_bits(back.model, expected));
  EXPECT_EQ(back.model.config.quantization, "int8");
  write("again", int8(), "old");  // in the layout of its family
  import_model("again");
  EXPECT_TRUE(same_bits(workspace_.load("again").model, expected));
  options.quantize = "int4";
  expect_error<UsageError>([&] { write("x", options); }, "--for transformers writes no int4");
}

TEST_F(Int8Export, SaysThatOnlyMformerReadsItAndHowManyBytesItSaves) {
  const ExportReport plain = write("plain", {});
  EXPECT_TRUE(plain.loadable_by_reference);
  EXPECT_FALSE(plain.quantization.has_value());
  const ExportReport report = write("int8", int8());
  EXPECT_FALSE(report.loadable_by_reference);
  EXPECT_TRUE(report.equal_counts);
  ASSERT_TRUE(report.quantization.has_value());
  ExportOptions bfloat16;
  bfloat16.dtype = "bfloat16";
  write("half", bfloat16);
  import_model("half");
  import_model("int8");
  EXPECT_EQ(report.quantization->dtype, "bfloat16");
  EXPECT_EQ(report.quantization->weight_bytes_before, size_of(workspace_.load("half").model).bytes);
  EXPECT_EQ(report.quantization->weight_bytes_after, size_of(workspace_.load("int8").model).bytes);
}

TEST_F(Int8Export, ReportsTheLossesThatEvaluatingTheTwoCheckpointsGives) {
  train_base();
  workspace_.add_task("german", workspace_.corpus("german"));
  const ExportReport report = write("int8", int8());
  ExportOptions bfloat16;
  bfloat16.dtype = "bfloat16";
  write("half", bfloat16);
  import_model("half");
  import_model("int8");
  EvalCommand command;
  command.max_tokens = 300;
  Session session = workspace_.session("eval");
  const auto half = evaluate_tasks(session, workspace_.load("half"), command, false).rows;
  const auto int8 = evaluate_tasks(session, workspace_.load("int8"), command, false).rows;
  ASSERT_EQ(report.quantization->tasks.size(), 2U);
  for (std::size_t i = 0; i < 2; ++i) {
    const TaskChange& task = report.quantization->tasks[i];
    EXPECT_EQ(task.task, half[i].task);
    EXPECT_EQ(*task.before, half[i].held_out->loss);
    EXPECT_EQ(*task.after, int8[i].held_out->loss);
    EXPECT_NE(*task.after, *task.before);
    EXPECT_NEAR(*task.after, *task.before, 0.02) << "nats per token";
  }
}

TEST_F(Int8Export, MeasuresNothingWithoutTasksOrWhenNotAsked) {
  EXPECT_TRUE(write("int8", int8()).quantization->tasks.empty());
  workspace_.add_task("german", workspace_.corpus("german"));
  ExportOptions options = int8();
  options.evaluate = false;
  options.overwrite = true;
  EXPECT_TRUE(write("int8", options).quantization->tasks.empty());
  options.evaluate = true;
  EXPECT_EQ(write("int8", options).quantization->tasks.size(), 1U);
}

TEST_F(Int8Export, OfInt8ModulesIsTheSameFileAgain) {
  imported();
  write("again", int8(), "int8");
  EXPECT_EQ(bytes_of("again"), bytes_of("int8"));
}

TEST_F(Int8Export, OfInt8ModulesWithoutQuantizeWritesTheirValues) {
  Model values = imported().model;
  ExportOptions options;
  const ExportReport report = write("values", options, "int8");
  EXPECT_TRUE(report.loadable_by_reference);
  dequantize(values, at::kBFloat16);
  import_model("values");
  EXPECT_TRUE(same_bits(workspace_.load("values").model, values));
  options.dtype = "float32";
  write("wide", options, "int8");
  import_model("wide");
  const Module wide = workspace_.load("wide").model.blocks[1].mlp.modules[0];
  const Module coded = workspace_.load("int8").model.blocks[1].mlp.modules[0];
  EXPECT_TRUE(wide.in.t().equal(kernels::dequantize_blocks(coded.in, wide.in.size(0), at::kFloat)));
}

TEST_F(Int8Export, StopsWithAWholeCheckpointWhenItsEvaluationIsStopped) {
  workspace_.add_task("german", workspace_.corpus("german"));
  Session session = workspace_.session("export");
  session.watcher.should_stop = [] { return true; };
  ExportOptions options = int8();
  options.folder = (workspace_.folder() / "int8").string();
  const ExportReport report = export_model(session, workspace_.registry().resolve("base"), options);
  EXPECT_EQ(report.cut_off, "it was interrupted");
  EXPECT_TRUE(report.quantization->tasks.empty());
  import_model("int8");
}

TEST_F(Int8Export, RefusesOtherMethodsAndTypes) {
  ExportOptions options = int8();
  options.quantize = "int3";
  EXPECT_EQ(expect_error<UsageError>([&] { write("x", options); }, "int3"), "known: int8, int4");
  options = int8();
  options.dtype = "float8";
  expect_error<UsageError>([&] { write("x", options); }, "float8");
  EXPECT_FALSE(std::filesystem::exists(workspace_.folder() / "x"));
}

TEST_F(Int8Export, PrunesToTheObjectsOfTheModulesThatStay) {
  const LoadedVersion base = imported();
  PruneCommand command;
  command.task = "german";
  command.data = workspace_.corpus("german");
  command.into = "small";
  command.keep = 0.5;
  command.eval_tokens = command.stat_tokens = 200;
  Session session = workspace_.session("prune");
  const PruneReport report = prune(session, base, command);
  const LoadedVersion small = workspace_.load("small");
  EXPECT_EQ(small.manifest.layers[0].mlp[0], base.manifest.layers[0].mlp[report.kept.mlp[0][0]]);
  const auto logits = [](const Model& model) { return logits_of(model, forward(model, tiny_ids(2, 20)).hidden); };
  EXPECT_TRUE(logits(small.model).equal(logits(select(base.model, report.kept))));
}

TEST_F(Int8Export, RanksModulesByTheNormOfTheirValuesNotOfTheirCodes) {
  const Model coded = imported().model;
  Model values = coded;
  dequantize(values, at::kFloat);
  EXPECT_EQ(score_by(Criterion::norm, coded, {}, 0)(1, Kind::mlp, 2),
            score_by(Criterion::norm, values, {}, 0)(1, Kind::mlp, 2));
}

TEST_F(Int8Export, IsNotTrained) {
  const LoadedVersion base = imported();
  const auto refused = [&](const auto& work) {
    Session session = workspace_.session("train");
    const std::string hint = expect_error<Error>([&] { work(session); }, "quantised, which can't be trained");
    EXPECT_NE(hint.find("bfloat16"), std::string::npos);
  };
  refused([&](Session& session) {
    PretrainCommand command;
    command.data = workspace_.corpus("german");
    pretrain(session, base, command);
  });
  refused([&](Session& session) {
    FinetuneCommand command;
    command.data = workspace_.corpus("german");
    finetune(session, base, command);
  });
  refused([&](Session& session) {
    ExtendCommand command;
    command.data = workspace_.corpus("german");
    extend(session, base, command);
  });
  refused([&](Session& session) {
    PruneCommand command;
    command.data = workspace_.corpus("german");
    command.heal_steps = 1;
    prune(session, base, command);
  });
  EXPECT_TRUE(workspace_.registry().tasks().empty());
}

TEST_F(Int8Export, IsRefusedWhenTheStoredObjectsAreNotInt8) {
  LoadedVersion base = imported();
  Session session = workspace_.session("import");
  run_operation(session, "odd", {}, [&](std::int64_t operation) {
    Commit commit;
    commit.operation_id = operation;
    commit.model = "odd";
    for (Block& block : base.model.blocks) {
      for (Module& module : block.att.modules) module.uid.clear();
      for (Module& module : block.mlp.modules) module.uid.clear();
      for (Module& module : block.mlp.modules) module.in = module.in.to(at::kBFloat16);  // beside its scale
    }
    commit.manifest = store_model(workspace_.registry(), base.model, "");
    commit.new_modules = birth_records(base.model, {}, "import", "");
    workspace_.registry().commit_version(commit);
  });
  expect_error<Error>([&] { workspace_.load("odd"); }, "do not fit its config");
}

}  // namespace
}  // namespace mformer
