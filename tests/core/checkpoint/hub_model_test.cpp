// Models to checkpoint folders and back; what does not fit is refused.

#include "core/checkpoint/hub_model.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "core/checkpoint/hub_parameters.h"
#include "core/checkpoint/tensor_io.h"
#include "core/checkpoint/parameter_layout.h"
#include "core/model/outline.h"
#include "tests/core/text/temporary_folder.h"
#include "tests/support/expect_error.h"
#include "tests/support/tiny_model.h"

namespace mformer {
namespace {

using testing::expect_error;
using testing::same_bits;
using testing::tiny_config;
using testing::tiny_model;

using RoundTrip = std::tuple<std::string, at::ScalarType, std::uint64_t>;  // gate, dtype, bytes per shard

class HubRoundTrip : public ::testing::TestWithParam<RoundTrip> {};

TEST_P(HubRoundTrip, BringsBackEveryBit) {
  const auto& [gate, dtype, shard_bytes] = GetParam();
  Model model = tiny_model(tiny_config(gate));
  convert(model, dtype);
  const TemporaryFolder folder;
  HubWriteOptions options;
  options.max_shard_bytes = shard_bytes;
  save_hub_model(folder / "model", model, options);
  const HubFolder hub = open_hub_folder(folder / "model");
  EXPECT_EQ(hub.files().safetensors.size() > 1, shard_bytes < 100'000);
  const Model loaded = load_hub_model(hub);
  EXPECT_EQ(loaded.wte.scalar_type(), dtype);
  EXPECT_TRUE(same_bits(loaded, model));
}

INSTANTIATE_TEST_SUITE_P(GatesTypesAndShards, HubRoundTrip,
                         ::testing::Combine(::testing::Values("mlp", "linear", "gmm"),
                                            ::testing::Values(at::kFloat, at::kBFloat16, at::kHalf),
                                            ::testing::Values(std::uint64_t{5'000}, std::uint64_t{5'000'000'000})));

TEST(HubModel, WeightsThatAreMadeInTurnGiveTheBytesOfAllAtOnce) {
  for (const char* gate : {"mlp", "gmm"}) {
    const Model model = tiny_model(tiny_config(gate));
    const TemporaryFolder folder;
    save_hub_model(folder / "model", model, {});
    const auto bytes = serialize_safetensors(to_write(to_hub_tensors(model)), {{"format", "pt"}});
    EXPECT_EQ(read_file(folder / "model/model.safetensors"),
              std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
  }
}

TEST(HubModel, AnOutlineAndItsWeightsAreWrittenAsTheModel) {
  Model model = tiny_model();
  const TemporaryFolder folder;
  save_hub_model(folder / "model", model, {});
  save_hub_model(folder / "outline", outline_model(model.config, at::kFloat), parameters_of(model), {});
  EXPECT_EQ(read_file(folder / "outline/model.safetensors"), read_file(folder / "model/model.safetensors"));
  // Another type than that in which the weights are: what is written has the outline's.
  save_hub_model(folder / "half", outline_model(model.config, at::kHalf), parameters_of(model), {});
  convert(model, at::kHalf);
  EXPECT_TRUE(same_bits(load_hub_model(open_hub_folder(folder / "half")), model));
}

TEST(HubModel, ParametersAreReadInAnyOrderAndAsOftenAsAsked) {
  Model model = tiny_model();
  const TemporaryFolder folder;
  save_hub_model(folder / "model", model, {});
  const HubFolder hub = open_hub_folder(folder / "model");
  HubParameters read(hub);
  std::vector<ParameterRef> all = parameters(model);
  std::reverse(all.begin(), all.end());
  for (int times = 0; times < 2; ++times) {
    for (const ParameterRef& ref : all) {
      const at::Tensor own = read(ref.name);
      EXPECT_TRUE(own.equal(*ref.tensor)) << ref.name;
      EXPECT_EQ(own.storage().nbytes(), own.nbytes()) << ref.name << " keeps more than its own";
    }
  }
  EXPECT_FALSE(read("h.0.mlp.99.in").defined());
}

Model round_trip(const Model& model, const TemporaryFolder& folder) {
  save_hub_model(folder / "model", model, {});
  return load_hub_model(open_hub_folder(folder / "model"));
}

TEST(HubModel, KeepsPerLayerCounts) {
  ModelConfig config = tiny_config();
  config.set_expert_counts({2, 6}, {7, 3});
  const Model model = tiny_model(config);
  const TemporaryFolder folder;
  const Model loaded = round_trip(model, folder);
  EXPECT_TRUE(same_bits(loaded, model));
  EXPECT_EQ(loaded.config.n_att_experts_per_layer, (std::vector<std::int64_t>{2, 6}));
}

TEST(HubModel, KeepsATiedHeadTied) {
  ModelConfig config = tiny_config();
  config.tie_word_embeddings = true;
  const Model model = tiny_model(config);
  const TemporaryFolder folder;
  const Model loaded = round_trip(model, folder);
  EXPECT_TRUE(same_bits(loaded, model));
  EXPECT_TRUE(loaded.lm_head.is_same(loaded.wte));
  EXPECT_EQ(open_hub_folder(folder / "model").find("lm_head.weight"), nullptr);
}

TEST(HubModel, KeepsModelsWithoutKeyAndValueProjections) {
  ModelConfig config = tiny_config();
  config.n_head = 1;
  config.att_hidden = config.n_embd;
  const Model model = tiny_model(config);
  const TemporaryFolder folder;
  EXPECT_TRUE(same_bits(round_trip(model, folder), model));
}

TEST(HubModel, NamesExactlyTheParametersOfTheFormat) {
  for (const char* gate : {"mlp", "linear", "gmm"}) {
    const Model model = tiny_model(tiny_config(gate));
    const auto layout = parameter_layout(model.config);
    const auto tensors = to_hub_tensors(model);
    ASSERT_EQ(tensors.size(), layout.size());
    std::map<std::string, std::vector<std::int64_t>> shapes;
    for (const ParameterSpec& spec : layout) shapes[spec.name] = spec.shape;
    for (const NamedTensor& entry : tensors) {
      ASSERT_EQ(shapes.count(entry.name), 1U) << entry.name;
      EXPECT_EQ(entry.tensor.sizes(), at::IntArrayRef(shapes[entry.name])) << entry.name;
    }
  }
}

/// Writes the tiny model's tensors, changed by `change`.
template <typename Change>
HubFolder folder_with(const TemporaryFolder& folder, const Change& change) {
  const Model model = tiny_model();
  std::vector<NamedTensor> tensors = to_hub_tensors(model);
  change(tensors);
  std::vector<TensorToWrite> to_be_written;
  for (const NamedTensor& entry : tensors) to_be_written.push_back(to_write(entry.name, entry.tensor));
  write_hub_folder(folder / "model", model.config, to_be_written);
  return open_hub_folder(folder / "model");
}

TEST(HubModel, RefusesAMissingTensor) {
  const TemporaryFolder folder;
  const HubFolder hub = folder_with(folder, [](auto& tensors) { tensors.erase(tensors.begin() + 3); });
  expect_error<Error>([&] { load_hub_model(hub); }, to_hub_tensors(tiny_model())[3].name);
}

TEST(HubModel, RefusesAnUnknownTensor) {
  const TemporaryFolder folder;
  const HubFolder hub = folder_with(folder, [](auto& tensors) {
    tensors.push_back({"transformer.h.7.strange", at::zeros({2})});
  });
  expect_error<Error>([&] { load_hub_model(hub); }, "transformer.h.7.strange");
}

TEST(HubModel, RefusesAMisshapenTensor) {
  const TemporaryFolder folder;
  const HubFolder hub = folder_with(folder, [](auto& tensors) { tensors[0].tensor = at::zeros({60, 16}); });
  expect_error<Error>([&] { load_hub_model(hub); }, "transformer.wte.weight");
}

TEST(HubModel, RefusesATensorOfWholeNumbers) {
  const TemporaryFolder folder;
  const HubFolder hub = folder_with(folder, [](auto& tensors) { tensors[0].tensor = at::zeros({61, 16}, at::kLong); });
  expect_error<Error>([&] { load_hub_model(hub); }, "transformer.wte.weight");
}

TEST(HubModel, IgnoresTheBuffersThatTheReferenceStores) {
  const TemporaryFolder folder;
  const HubFolder hub = folder_with(folder, [](auto& tensors) {
    tensors.push_back({"transformer.h.0.attn.mask", at::zeros({4, 4})});
    tensors.push_back({"transformer.h.1.attn.cum_weight", at::zeros({4, 4})});
  });
  EXPECT_TRUE(same_bits(load_hub_model(hub), tiny_model()));
}

TEST(HubModel, WidensATensorOfMixedTypesToTheWidest) {
  const TemporaryFolder folder;
  const HubFolder hub = folder_with(folder, [](auto& tensors) { tensors[0].tensor = tensors[0].tensor.to(at::kHalf); });
  const Model loaded = load_hub_model(hub);
  EXPECT_EQ(loaded.wte.scalar_type(), at::kFloat);
  EXPECT_TRUE(loaded.wte.equal(tiny_model().wte.to(at::kHalf).to(at::kFloat)));
}

TEST(TensorIo, RoundTripsEveryElementType) {
  for (const at::ScalarType type : {at::kDouble, at::kFloat, at::kHalf, at::kBFloat16, at::kLong, at::kInt, at::kShort,
                                    at::kChar, at::kByte, at::kBool}) {
    const at::Tensor x = at::randint(0, 2, {3, 5}).to(type);
    const auto bytes = serialize_safetensors({to_write("x", x)});
    const at::Tensor back = to_tensor(SafetensorsFile::parse(bytes, "memory").get("x"));
    EXPECT_EQ(back.scalar_type(), type);
    EXPECT_TRUE(back.equal(x)) << type;
  }
  expect_error<Error>([] { dtype_of(at::kComplexFloat); }, "can't hold elements");
}

}  // namespace
}  // namespace mformer
