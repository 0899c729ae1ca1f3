// Modules as int8: what a weight becomes, and the way to checkpoint folders and back.

#include "core/checkpoint/quantize.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "core/checkpoint/hub_model.h"
#include "core/checkpoint/parameter_layout.h"
#include "core/model/forward.h"
#include "tests/core/text/temporary_folder.h"
#include "tests/support/expect_error.h"
#include "tests/support/tiny_model.h"
#include "tests/support/tolerance.h"

namespace mformer {
namespace {

using testing::expect_error;
using testing::kBFloat16;
using testing::relative_error;
using testing::same_bits;
using testing::tiny_config;
using testing::tiny_ids;
using testing::tiny_model;

Model quantized(Model model, at::ScalarType rest = at::kBFloat16) {
  quantize(model);
  convert(model, rest);
  return model;
}

Model quantized_round_trip(const Model& model, const TemporaryFolder& folder, const HubWriteOptions& options = {}) {
  save_hub_model(folder / "model", model, options);
  return load_hub_model(open_hub_folder(folder / "model"));
}

/// Writes an int8 model's tensors, changed by `change`.
template <typename Change>
HubFolder changed_folder(const TemporaryFolder& folder, const Change& change) {
  const Model model = quantized(tiny_model());
  std::vector<NamedTensor> tensors = to_hub_tensors(model);
  for (NamedTensor& entry : tensors) change(entry);
  write_hub_folder(folder / "model", model.config, to_write(tensors));
  return open_hub_folder(folder / "model");
}

TEST(Quantize, KeepsEachWeightWithinHalfAScale) {
  const Model model = tiny_model();
  const Model coded = quantized(model, at::kFloat);
  for (std::size_t l = 0; l < model.blocks.size(); ++l) {
    for (const Kind kind : {Kind::att, Kind::mlp}) {
      for (std::size_t i = 0; i < model.blocks[l].bank(kind).modules.size(); ++i) {
        const Module& before = model.blocks[l].bank(kind).modules[i];
        const Module& after = coded.blocks[l].bank(kind).modules[i];
        for (const auto& [matrix, scale] :
             {std::pair(&Module::in, &Module::in_scale), std::pair(&Module::out, &Module::out_scale)}) {
          const at::Tensor error =
              (dequantized(after.*matrix, after.*scale, 0, at::kDouble) - (before.*matrix).to(at::kDouble)).abs();
          // A hair more: weight / scale and code · scale are rounded to float32.
          const at::Tensor most = (after.*scale).to(at::kDouble) * (0.5 + 127 * 1e-6);
          EXPECT_EQ((after.*matrix).scalar_type(), at::kChar);
          EXPECT_TRUE((error <= most).all().item<bool>()) << l << " " << i;
        }
      }
    }
  }
}

TEST(Quantize, GivesAColumnOfZerosTheScaleOneAndItsNeighboursTheirOwn) {
  Model model = tiny_model();
  at::Tensor& in = model.blocks[0].mlp.modules[1].in;
  in.select(1, 3).zero_();
  in.select(1, 4).fill_(-2.54F);
  quantize(model);
  const Module& module = model.blocks[0].mlp.modules[1];
  EXPECT_EQ(module.in_scale[3].item<float>(), 1.0F);
  EXPECT_TRUE(module.in.select(1, 3).eq(0).all().item<bool>());
  EXPECT_FLOAT_EQ(module.in_scale[4].item<float>(), 0.02F);
  EXPECT_TRUE(module.in.select(1, 4).eq(-127).all().item<bool>());
}

TEST(Quantize, LeavesEverythingButTheMatricesAndCountsNoScaleAsAWeight) {
  const Model model = tiny_model();
  const Model coded = quantized(model, at::kFloat);
  EXPECT_TRUE(coded.wte.equal(model.wte));
  EXPECT_TRUE(coded.lm_head.equal(model.lm_head));
  EXPECT_TRUE(coded.blocks[1].k_proj.weight.equal(model.blocks[1].k_proj.weight));
  EXPECT_TRUE(coded.blocks[1].att.router.weight.equal(model.blocks[1].att.router.weight));
  EXPECT_TRUE(coded.blocks[1].att.modules[2].row.equal(model.blocks[1].att.modules[2].row));
  EXPECT_EQ(size_of(coded).weights, size_of(model).weights);
  EXPECT_EQ(coded.config.parameter_count(), model.config.parameter_count());
  EXPECT_LT(size_of(coded).bytes, size_of(model).bytes);
}

TEST(Quantize, DoneAgainKeepsEveryBit) {
  const Model once = quantized(tiny_model());
  EXPECT_TRUE(same_bits(quantized(clone(once)), once));
}

TEST(Quantize, RefusesAWeightThatIsNotFinite) {
  for (const double value : {std::numeric_limits<double>::infinity(), std::nan("")}) {
    Model model = tiny_model();
    model.blocks[1].att.modules[0].out[2][3] = value;
    expect_error<Error>([&] { quantize(model); }, "not finite");
  }
}

TEST(Dequantize, GivesCodeTimesScaleRoundedOnce) {
  Model coded = quantized(tiny_model());
  const Module before = coded.blocks[0].att.modules[3];
  dequantize(coded, at::kBFloat16);
  const Module& after = coded.blocks[0].att.modules[3];
  EXPECT_TRUE(after.out.equal((before.out.to(at::kFloat) * before.out_scale).to(at::kBFloat16)));
  EXPECT_FALSE(after.out_scale.defined());
  EXPECT_FALSE(coded.config.is_quantized());
  EXPECT_TRUE(coded.blocks[0].att.modules[3].row.equal(before.row));
}

TEST(Dequantize, LeavesAModelWithoutInt8AsItIs) {
  Model model = tiny_model();
  dequantize(model, at::kBFloat16);
  EXPECT_TRUE(same_bits(model, tiny_model()));
}

TEST(Quantize, ComputesNearlyWhatTheModelDid) {
  for (const char* gate : {"mlp", "linear", "gmm"}) {
    Model model = tiny_model(tiny_config(gate));
    const auto logits = [](const Model& m) { return logits_of(m, forward(m, tiny_ids(2, 20)).hidden); };
    const at::Tensor before = logits(model);
    quantize(model);
    // Of 8 bits too, one for the sign, but of a column's largest weight rather than of each.
    EXPECT_LT(relative_error(logits(model), before), kBFloat16) << gate;
  }
}

class Int8RoundTrip : public ::testing::TestWithParam<std::tuple<std::string, at::ScalarType>> {};

TEST_P(Int8RoundTrip, BringsBackEveryCodeAndScale) {
  const auto& [gate, rest] = GetParam();
  ModelConfig config = tiny_config(gate);
  config.set_expert_counts({2, 6}, {7, 3});
  config.tie_word_embeddings = true;
  const Model model = quantized(tiny_model(config), rest);
  const TemporaryFolder folder;
  HubWriteOptions options;
  options.max_shard_bytes = 3'000;
  const Model loaded = quantized_round_trip(model, folder, options);
  EXPECT_EQ(loaded.wte.scalar_type(), rest);
  EXPECT_EQ(loaded.blocks[0].mlp.modules[0].in_scale.scalar_type(), at::kFloat);
  EXPECT_TRUE(loaded.config.is_quantized());
  EXPECT_TRUE(same_bits(loaded, model));
}

INSTANTIATE_TEST_SUITE_P(GatesAndTypes, Int8RoundTrip,
                         ::testing::Combine(::testing::Values("mlp", "linear", "gmm"),
                                            ::testing::Values(at::kFloat, at::kBFloat16, at::kHalf)));

TEST(HubModel, NamesTheScaleOfATensorAfterIt) {
  const Model model = quantized(tiny_model());
  const TemporaryFolder folder;
  save_hub_model(folder / "model", model, {});
  const HubFolder hub = open_hub_folder(folder / "model");
  const std::string name = "transformer.h.1.mlpf.experts.weight";
  EXPECT_EQ(hub.get(name).dtype, DType::I8);
  EXPECT_EQ(hub.get(name + "_scale").dtype, DType::F32);
  EXPECT_EQ(hub.get(name + "_scale").shape, (std::vector<std::int64_t>{5, 12}));
  EXPECT_EQ(hub.get("lm_head.weight").dtype, DType::BF16);
}

TEST(HubModel, RefusesAScaleThatIsNotAFiniteNumberAboveZero) {
  for (const double value : {0.0, -0.5, std::numeric_limits<double>::infinity(), std::nan("")}) {
    const TemporaryFolder folder;
    const HubFolder hub = changed_folder(folder, [&](NamedTensor& entry) {
      if (entry.name == "transformer.h.1.attn.q_proj.output_experts.weight_scale") entry.tensor[3][15] = value;
    });
    expect_error<Error>([&] { load_hub_model(hub); }, "output_experts.weight_scale' holds the scale");
  }
}

TEST(HubModel, RefusesScalesOfAnotherTypeOrShapeAndMatricesThatAreNoCodes) {
  const auto refuses = [](const std::string& name, const auto& change, const std::string& what) {
    const TemporaryFolder folder;
    const HubFolder hub = changed_folder(folder, [&](NamedTensor& entry) {
      if (entry.name == name) entry.tensor = change(entry.tensor).contiguous();
    });
    expect_error<Error>([&] { load_hub_model(hub); }, what);
  };
  const std::string codes = "transformer.h.0.mlpf.experts.weight", scale = codes + "_scale";
  refuses(
      scale, [](const at::Tensor& x) { return x.to(at::kBFloat16); }, "weight_scale' is stored as BF16");
  refuses(
      scale, [](const at::Tensor& x) { return x.narrow(1, 0, 11); }, "weight_scale' has the shape [5, 11]");
  refuses(
      codes, [](const at::Tensor& x) { return x.to(at::kFloat); }, "experts.weight' is stored as F32");
}

}  // namespace
}  // namespace mformer
