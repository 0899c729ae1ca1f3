// pytorch_model.bin: state dicts are read, everything else is refused and nothing is run.

#include "core/checkpoint/pickle.h"

#include <ATen/ATen.h>
#include <caffe2/serialize/inline_container.h>
#include <gtest/gtest.h>
#include <torch/csrc/jit/serialization/pickle.h>

#include "core/checkpoint/hub_model.h"
#include "tests/core/text/temporary_folder.h"
#include "tests/support/expect_error.h"
#include "tests/support/tiny_model.h"

namespace mformer {
namespace {

using testing::expect_error;
using ::testing::HasSubstr;
using testing::same_bits;
using testing::tiny_model;

std::string pickled(const at::IValue& value) {
  const std::vector<char> bytes = torch::jit::pickle_save(value);
  return {bytes.begin(), bytes.end()};
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

/// A file as torch.save writes it, with this pickle program in it.
void write_archive(const std::filesystem::path& path, const std::string& program) {
  caffe2::serialize::PyTorchStreamWriter writer(path.string());
  writer.writeRecord("data.pkl", program.data(), program.size());
  writer.writeEndOfFile();
}

TEST(PickledTensors, AreRefusedWhenTheValueIsNoStateDict) {
  const TemporaryFolder folder;
  const auto refuse = [&](const at::IValue& value, const std::string& what) {
    folder.write("weights.bin", pickled(value));
    const std::string hint = expect_error<Error>([&] { read_pickled_tensors(folder / "weights.bin"); }, what);
    EXPECT_THAT(hint, HasSubstr("safetensors"));
  };
  refuse(at::zeros({2}), "something other than a state dict");
  refuse(at::IValue(3), "something other than a state dict");
  c10::Dict<std::string, std::int64_t> numbers;
  numbers.insert("x", 3);
  refuse(numbers, "something other than named tensors");
}

TEST(PickledTensors, AreRefusedWithoutRunningAnythingWhenThePickleCallsAFunction) {
  const TemporaryFolder folder;
  const std::string victim = (folder / "victim").string();
  for (const char* function : {"os\nsystem", "posix\nsystem", "builtins\nexec", "subprocess\ncall"}) {
    const std::string program =
        "\x80\x02"
        "c" +
        std::string(function) + "\n(X" + std::string(1, static_cast<char>(victim.size() + 6)) + std::string(3, '\0') +
        "touch " + victim + "tR.";
    write_archive(folder / "weights.bin", program);
    expect_error<Error>([&] { read_pickled_tensors(folder / "weights.bin"); }, "can be read safely");
    EXPECT_FALSE(std::filesystem::exists(victim));
  }
}

TEST(PickledTensors, AreRefusedWhenTheFileIsDamaged) {
  const TemporaryFolder folder;
  const std::string whole = pickled(state_dict(tiny_model()));
  for (const std::string& bytes :
       {std::string(), std::string("not a pickle"), std::string("cos\nsystem\n(S'true'\ntR."),
        whole.substr(0, whole.size() / 2), whole.substr(0, whole.size() - 30)}) {
    folder.write("weights.bin", bytes);
    expect_error<Error>([&] { read_pickled_tensors(folder / "weights.bin"); }, "weights.bin");
  }
}

std::filesystem::path recorded(const char* name) {
  return std::filesystem::path(MFORMER_TEST_DATA) / "pickle" / name;
}

TEST(PickledTensors, AreReadFromAStateDictThatPyTorchSaved) {
  const auto tensors = read_pickled_tensors(recorded("state_dict.bin"));
  ASSERT_EQ(tensors.size(), 5U);
  EXPECT_TRUE(tensors.at("weight").equal(at::arange(12, at::kFloat).view({3, 4})));
  EXPECT_TRUE(tensors.at("shared").equal(at::arange(4, 8, at::kFloat)));
  EXPECT_TRUE(tensors.at("transposed").equal(at::arange(6, at::kFloat).view({2, 3}).t()));
  EXPECT_TRUE(tensors.at("half").equal(at::tensor({0.5, -2.0}).to(at::kHalf)));
  EXPECT_TRUE(tensors.at("bfloat").equal(at::tensor({1.0, 3.0}).to(at::kBFloat16)));
}

TEST(PickledTensors, AreRefusedWhenPyTorchSavedSomethingElse) {
  for (const char* name : {"malicious.bin", "module.bin", "legacy.bin", "ordered.bin"}) {
    const std::string hint = expect_error<Error>([&] { read_pickled_tensors(recorded(name)); }, name);
    EXPECT_THAT(hint, HasSubstr("safetensors"));
  }
  EXPECT_FALSE(std::filesystem::exists("this-must-not-exist"));
}

TEST(PickledTensors, AreRefusedWhenAProgramIsCutOffOrNonsense) {
  const TemporaryFolder folder;
  for (const std::string& program :
       {std::string(), std::string("\x80\x02"), std::string("\x80\x02}"), std::string("\x80\x02R."),
        std::string("\x80\x02(t."), std::string("\xff\xff\xff")}) {
    write_archive(folder / "weights.bin", program);
    expect_error<Error>([&] { read_pickled_tensors(folder / "weights.bin"); }, "weights.bin");
  }
}

}  // namespace
}  // namespace mformer
