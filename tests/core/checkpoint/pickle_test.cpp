// pytorch_model.bin as PyTorch itself writes it: state dicts are read, everything else is refused and nothing is run.

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "core/checkpoint/hub_model.h"
#include "core/checkpoint/tensor_io.h"
#include "tests/core/text/temporary_folder.h"
#include "tests/support/expect_error.h"
#include "tests/support/tiny_model.h"
#include "tests/support/torch_archive.h"

namespace mformer {
namespace {

using testing::expect_error;
using ::testing::HasSubstr;
using testing::same_bits;
using testing::tiny_model;

/// What torch.save makes of the dict: each tensor as a view of its whole storage.
std::string pickled(const c10::Dict<std::string, at::Tensor>& dict) {
  std::vector<testing::SavedTensor> tensors;
  for (const auto& entry : dict) {
    const at::Tensor& tensor = entry.value();
    const c10::Storage& storage = tensor.storage();
    testing::SavedTensor saved{entry.key(), tensor.sizes().vec(), tensor.strides().vec(), ""};
    saved.bytes.assign(static_cast<const char*>(storage.data()), storage.nbytes());
    saved.stored = static_cast<std::int64_t>(storage.nbytes() / tensor.itemsize());
    saved.offset = tensor.storage_offset();
    saved.storage = tensor.scalar_type() == at::kLong ? "LongStorage" : "FloatStorage";
    tensors.push_back(std::move(saved));
  }
  return testing::torch_archive(tensors);
}

c10::Dict<std::string, at::Tensor> state_dict(const Model& model) {
  c10::Dict<std::string, at::Tensor> dict;
  for (const NamedTensor& entry : to_hub_tensors(model)) dict.insert(entry.name, entry.tensor);
  return dict;
}

/// A checkpoint folder whose weights are these bytes in pytorch_model.bin.
HubFolder folder_with_pickle(const TemporaryFolder& folder, const std::string& bytes) {
  folder.write("config.json", tiny_model().config.to_json());
  folder.write("pytorch_model.bin", bytes);
  return open_hub_folder(folder.path());
}

TEST(PickledModel, IsReadBitForBit) {
  const TemporaryFolder folder;
  const Model model = tiny_model();
  EXPECT_TRUE(same_bits(load_hub_model(folder_with_pickle(folder, pickled(state_dict(model)))), model));
}

TEST(PickledModel, IsRefusedWhenATensorIsMissingUnknownOrMisshapen) {
  const TemporaryFolder folder;
  auto dict = state_dict(tiny_model());
  ASSERT_EQ(dict.erase("transformer.ln_f.bias"), 1U);
  expect_error<Error>([&] { load_hub_model(folder_with_pickle(folder, pickled(dict))); }, "transformer.ln_f.bias");
  dict = state_dict(tiny_model());
  dict.insert("strange", at::zeros({1}));
  expect_error<Error>([&] { load_hub_model(folder_with_pickle(folder, pickled(dict))); }, "strange");
  dict = state_dict(tiny_model());
  dict.insert_or_assign("transformer.ln_f.bias", at::zeros({15}));
  expect_error<Error>([&] { load_hub_model(folder_with_pickle(folder, pickled(dict))); }, "transformer.ln_f.bias");
  dict.insert_or_assign("transformer.ln_f.bias", at::zeros({16}, at::kLong));
  expect_error<Error>([&] { load_hub_model(folder_with_pickle(folder, pickled(dict))); }, "transformer.ln_f.bias");
}

TEST(PickledModel, CopesWithTensorsThatShareOrStrideTheirStorage) {
  const TemporaryFolder folder;
  const Model model = tiny_model();
  auto dict = state_dict(model);
  dict.insert_or_assign("transformer.wte.weight", model.wte.t().contiguous().t());
  EXPECT_TRUE(same_bits(load_hub_model(folder_with_pickle(folder, pickled(dict))), model));
}

TEST(PickledModel, IsReadFromTheShardsThatTheIndexNamesWhateverLiesBeside) {
  const TemporaryFolder folder;
  const Model model = tiny_model(testing::tiny_config(), 3);
  const auto whole = state_dict(model), stale = state_dict(tiny_model(testing::tiny_config(), 4));
  folder.write("config.json", model.config.to_json());
  for (const char* name : {"pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin"}) {
    folder.write(name, pickled(stale));
  }
  c10::Dict<std::string, at::Tensor> halves[2];
  std::string map;
  for (const auto& entry : whole) {
    const std::size_t half = entry.key() < "transformer.h.1" ? 0 : 1;
    halves[half].insert(entry.key(), entry.value());
    map += (map.empty() ? "\"" : ", \"") + entry.key() + "\": \"part-" + std::to_string(half) + ".bin\"";
  }
  folder.write("part-0.bin", pickled(halves[0]));
  folder.write("part-1.bin", pickled(halves[1]));
  expect_error<Error>([&] { open_hub_folder(folder.path()); }, "is also in pytorch_model-00001-of-00002.bin");
  folder.write("pytorch_model.bin.index.json", "{\"weight_map\": {" + map + "}}");
  EXPECT_TRUE(same_bits(load_hub_model(open_hub_folder(folder.path())), model));

  folder.write("pytorch_model.bin", pickled(stale));
  expect_error<Error>([&] { open_hub_folder(folder.path()); }, "holds two sets of weights");
  std::filesystem::remove(folder / "part-1.bin");  // then the index is what an older save left
  EXPECT_TRUE(same_bits(load_hub_model(open_hub_folder(folder.path())), tiny_model(testing::tiny_config(), 4)));
  std::filesystem::remove(folder / "pytorch_model.bin");
  expect_error<Error>([&] { open_hub_folder(folder.path()); }, "names the shard 'part-1.bin', which is not there");
}

TEST(PickledModel, NeedsAWholeSetOfShardsWhereNoIndexNamesThem) {
  const TemporaryFolder folder;
  const auto whole = state_dict(tiny_model());
  c10::Dict<std::string, at::Tensor> halves[2];
  for (const auto& entry : whole) halves[entry.key() < "transformer.h.1" ? 0 : 1].insert(entry.key(), entry.value());
  folder.write("config.json", tiny_model().config.to_json());
  folder.write("pytorch_model-00001-of-00002.bin", pickled(halves[0]));
  expect_error<Error>([&] { open_hub_folder(folder.path()); }, "holds the shard 'pytorch_model-00001-of-00002.bin'");
  folder.write("pytorch_model-00002-of-00002.bin", pickled(halves[1]));
  EXPECT_TRUE(same_bits(load_hub_model(open_hub_folder(folder.path())), tiny_model()));
  folder.write("pytorch_model-00003-of-00003.bin", pickled(halves[1]));
  expect_error<Error>([&] { open_hub_folder(folder.path()); }, "and no pytorch_model.bin.index.json says");
}

at::Tensor read(const std::filesystem::path& path, const std::string& name) {
  const TorchFile file = TorchFile::open(path);
  const PickledTensor* const tensor = file.find(name);
  return tensor == nullptr ? at::Tensor() : to_tensor(file, *tensor);
}

TEST(PickledTensors, ThatRepeatTheirStorageAreNotBlownUp) {
  const TemporaryFolder folder;
  testing::SavedTensor huge = testing::counting("huge", {1});
  huge.shape = {1L << 20, 1L << 20};
  huge.strides = {0, 0};
  folder.write("weights.bin", testing::torch_archive({huge}));
  expect_error<Error>([&] { read(folder / "weights.bin", "huge"); }, "tensor 'huge' repeats what is stored once");
}

TEST(PickledTensors, ThatWereCutWhileTheFileWasOpenAreRefused) {
  const TemporaryFolder folder;
  folder.write("weights.bin", testing::torch_archive({testing::counting("w", {1000})}));
  const TorchFile file = TorchFile::open(folder / "weights.bin");
  std::filesystem::resize_file(folder / "weights.bin", 600);
  expect_error<Error>([&] { to_tensor(file, *file.find("w")); }, "ends before byte");
}

std::filesystem::path recorded(const char* name) {
  return std::filesystem::path(MFORMER_TEST_DATA) / "pickle" / name;
}

TEST(PickledTensors, AreReadFromAStateDictThatPyTorchSaved) {
  for (const char* name : {"state_dict.bin", "ordered.bin"}) {
    const std::filesystem::path path = recorded(name);
    EXPECT_EQ(TorchFile::open(path).tensors().size(), 5U);
    EXPECT_TRUE(read(path, "weight").equal(at::arange(12, at::kFloat).view({3, 4})));
    EXPECT_TRUE(read(path, "shared").equal(at::arange(4, 8, at::kFloat)));
    EXPECT_TRUE(read(path, "transposed").equal(at::arange(6, at::kFloat).view({2, 3}).t()));
    EXPECT_TRUE(read(path, "half").equal(at::tensor({0.5, -2.0}).to(at::kHalf)));
    EXPECT_TRUE(read(path, "bfloat").equal(at::tensor({1.0, 3.0}).to(at::kBFloat16)));
  }
}

TEST(PickledTensors, AreRefusedWhenPyTorchSavedSomethingElse) {
  for (const char* name : {"malicious.bin", "module.bin", "legacy.bin"}) {
    const std::string hint = expect_error<Error>([&] { TorchFile::open(recorded(name)); }, name);
    EXPECT_THAT(hint, HasSubstr("safetensors"));
  }
  EXPECT_FALSE(std::filesystem::exists("this-must-not-exist"));
}

}  // namespace
}  // namespace mformer
