// Files of torch.save, whole, damaged and hostile: what is read lies in the file, and nothing is ever run.

#include "core/formats/torch_file.h"

#include <gtest/gtest.h>

#include <random>

#include "tests/core/text/temporary_folder.h"
#include "tests/support/expect_error.h"
#include "tests/support/torch_archive.h"

namespace mformer {
namespace {

using namespace mformer::testing;  // torch_archive.h
using ::testing::HasSubstr;

class TorchFileTest : public ::testing::Test {
 protected:
  TorchFile open(const std::string& bytes) const {
    folder_.write("weights.bin", bytes);
    return TorchFile::open(folder_ / "weights.bin");
  }
  TorchFile open_program(const std::string& program) const { return open(zip(torch_files({}, program))); }
  void expect_refused(const std::string& bytes, const std::string& what) const {
    const std::string hint = expect_error<Error>([&] { open(bytes); }, what);
    EXPECT_FALSE(hint.empty()) << what;
  }
  void expect_program_refused(const std::string& program, const std::string& what) const {
    expect_refused(zip(torch_files({}, program)), what);
  }
  void expect_tensor_refused(SavedTensor tensor, const std::string& what) const {
    expect_refused(torch_archive({counting("good", {2, 3}), std::move(tensor)}), what);
  }

  TemporaryFolder folder_;
};

std::vector<float> numbers(const TorchFile& file, const std::string& name) {
  const PickledTensor& tensor = *file.find(name);
  std::vector<float> values(static_cast<std::size_t>(elements_spanned(tensor).value()));
  file.read(tensor, tensor.offset, std::as_writable_bytes(std::span(values)));
  return values;
}

TEST_F(TorchFileTest, ReadsTheTensorsOfADict) {
  SavedTensor part = counting("part", {2, 2}, 10);
  part.offset = 1;
  part.strides = {1, 1};
  const TorchFile file = open(torch_archive({counting("whole", {2, 3}), part, counting("empty", {0, 7})}));
  ASSERT_EQ(file.tensors().size(), 3U);
  EXPECT_EQ(file.tensors()[0].shape, (std::vector<std::int64_t>{2, 3}));
  EXPECT_TRUE(is_contiguous(file.tensors()[0]));
  EXPECT_FALSE(is_contiguous(file.tensors()[1]));
  EXPECT_EQ(numbers(file, "whole"), (std::vector<float>{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(numbers(file, "part"), (std::vector<float>{11, 12, 13}));
  EXPECT_TRUE(numbers(file, "empty").empty());
  EXPECT_EQ(file.find("absent"), nullptr);
}

TEST_F(TorchFileTest, ReadsAnOrderedDictWithItsVersionsAndParameters) {
  const SavedTensor tensor = counting("w", {3});
  const std::string parameter =
      "ctorch._utils\n_rebuild_parameter\n(" + tensor_program(tensor, "0") + "\x88" + kOrderedDict + "tR";
  const std::string versions =
      "}" + text("_metadata") + kOrderedDict + text("") + "}" + text("version") + "K\x01s" + "ssb";
  const std::string program = "\x80\x02" + kOrderedDict + "q\x01(" + text("w") + parameter + "u" + versions + ".";
  EXPECT_EQ(numbers(open(zip(torch_files({tensor}, program))), "w"), (std::vector<float>{0, 1, 2}));
}

TEST_F(TorchFileTest, ReadsAnArchiveWith64BitSizes) {
  const std::vector<SavedTensor> tensors = {counting("w", {4})};
  EXPECT_EQ(numbers(open(zip(torch_files(tensors, dict_program(tensors)), true)), "w").back(), 3);
}

TEST_F(TorchFileTest, RefusesATensorThatReachesOutsideItsStorage) {
  const auto with = [](const auto& change) {
    SavedTensor tensor = counting("bad", {4, 8});
    change(tensor);
    return tensor;
  };
  for (const std::int64_t offset : {-1L, -256L, -(1L << 28), 1L, 33L, 1L << 40, INT64_MAX, INT64_MIN}) {
    expect_tensor_refused(with([&](SavedTensor& t) { t.offset = offset; }),
                          "tensor 'bad' reaches beyond its 32 stored");
  }
  for (const std::vector<std::int64_t>& strides : {std::vector<std::int64_t>{4096, 1}, {8, 2}, {9, 1}}) {
    expect_tensor_refused(with([&](SavedTensor& t) { t.strides = strides; }),
                          "tensor 'bad' reaches beyond its 32 stored");
  }
  for (const std::vector<std::int64_t>& strides :
       {std::vector<std::int64_t>{-8, 1}, {8, -1}, {INT64_MAX, 1}, {8}, {8, 1, 1}, {}}) {
    expect_tensor_refused(with([&](SavedTensor& t) { t.strides = strides; }), "impossible shape or stride");
  }
  for (const std::vector<std::int64_t>& shape :
       {std::vector<std::int64_t>{-4, 8}, {4, -8}, {INT64_MAX, INT64_MAX}, {INT64_MIN, 8}, {1L << 40, 1L << 40}}) {
    expect_tensor_refused(with([&](SavedTensor& t) {
                            t.shape = shape, t.strides = {0, 0};
                          }),
                          "impossible shape or stride");
  }
  expect_tensor_refused(with([](SavedTensor& t) { t.shape = {5, 8}; }), "reaches beyond");
}

TEST_F(TorchFileTest, RefusesAStorageThatHoldsAnotherNumberOfBytesThanItIsSaidTo) {
  const auto with = [](const auto& change) {
    SavedTensor tensor = counting("bad", {4, 8});
    change(tensor);
    return tensor;
  };
  for (const std::int64_t stored : {-32L, 0L, 1L, 31L, 33L, 1L << 61, INT64_MAX, INT64_MIN}) {
    expect_tensor_refused(with([&](SavedTensor& t) { t.stored = stored; }), "tensor 'bad' should have");
  }
  expect_tensor_refused(with([](SavedTensor& t) { t.bytes.resize(4); }), "there are 4 bytes");
  for (const char* storage : {"DoubleStorage", "HalfStorage", "BoolStorage", "LongStorage"}) {
    expect_tensor_refused(with([&](SavedTensor& t) { t.storage = storage; }), "tensor 'bad' should have");
  }
  expect_tensor_refused(with([](SavedTensor& t) { t.storage = "QInt8Storage"; }), "it asks for 'torch.QInt8Storage'");
  expect_refused(zip(torch_files({}, dict_program({counting("bad", {4})}))), "has no data in the file");
}

TEST_F(TorchFileTest, RefusesWhateverIsNoDictOfTensors) {
  expect_program_refused("\x80\x02}(" + text("a") + "K\x05u.", "something other than named tensors: 'a'");
  expect_program_refused("\x80\x02}(" + text("state_dict") + "}u.", "something other than named tensors: 'state_dict'");
  expect_program_refused("\x80\x02}(K\x05}u.", "a key that is no name");
  expect_program_refused("\x80\x02K\x05.", "something other than a state dict");
  const std::vector<SavedTensor> twice = {counting("w", {2}), counting("w", {2})};
  expect_refused(torch_archive(twice), "'w' is in it twice");
}

TEST_F(TorchFileTest, RefusesEveryNameThatADictOfTensorsDoesNotNeed) {
  for (const char* name : {"os\nsystem\n", "builtins\nexec\n", "torch\nload\n", "torch._utils\n_rebuild_tensor\n",
                           "collections\ndefaultdict\n", "torch\nFloatStorage.__class__\n", "\n\n"}) {
    expect_program_refused(
        "\x80\x02"
        "c" +
            std::string(name) + "(" + text("touch victim") + "tR.",
        "which was not run");
  }
}

TEST_F(TorchFileTest, RefusesEveryInstructionThatADictOfTensorsDoesNotNeed) {
  const std::string followed = "\x80})(t\x85\x86\x87JKM\x8aX\x88\x89qrhjsucRbQ.";
  for (int opcode = 0; opcode < 256; ++opcode) {
    const char byte = static_cast<char>(opcode);
    if (followed.find(byte) != std::string::npos) {
      // Alone each of them asks for something that is not there, or leaves something else than a dict of tensors.
      if (byte == '}') continue;
      EXPECT_THROW(open_program("\x80\x02" + std::string(1, byte) + "."), Error) << opcode;
    } else {
      expect_program_refused("\x80\x02" + std::string(1, byte) + "}.", "pickle instruction " + std::to_string(opcode));
    }
  }
  expect_program_refused("\x80\x04}.", "another pickle protocol");
}

TEST_F(TorchFileTest, SurvivesProgramsThatNestRepeatOrMultiply) {
  const auto many = [](const std::string& piece, std::size_t times) {
    std::string program;
    for (std::size_t i = 0; i < times; ++i) program += piece;
    return program;
  };
  const std::size_t much = 3'000'000;
  expect_program_refused("\x80\x02" + many("(", much) + ".", "too long");
  expect_program_refused("\x80\x02)" + many("\x85", much) + ".", "too long");
  expect_program_refused("\x80\x02}q\x01" + many("h\x01", much) + ".", "too long");
  // A dict in itself.
  expect_program_refused("\x80\x02}q\x01(" + text("me") + "h\x01u.", "something other than named tensors");
  // Many tensors of many dimensions, each made by five bytes.
  const std::vector<std::int64_t> dimensions(32, 1);
  std::string wide = tensor_program({"", dimensions, dimensions, "", 1}, "0");
  wide.insert(wide.find("(("), "q\x01");  // what is called
  wide.insert(wide.size() - 1, "q\x02");       // and what with
  expect_program_refused("\x80\x02" + wide + many("h\x01h\x02R", 130'000) + ".", "too long");
  // One long tuple that every tensor takes for its shape.
  const std::string tensor = "ctorch._utils\n_rebuild_tensor_v2\n((" + text("storage") + "ctorch\nFloatStorage\n" +
                             text("0") + text("cpu") + whole(0) + "tQ" + whole(0) + "h\x01h\x01\x89" + kOrderedDict +
                             "tR";
  expect_program_refused("\x80\x02(" + many("K\x01", 100'000) + "tq\x01" + many(tensor, 1'000) + ".",
                         "more than 32 dimensions");
}

TEST_F(TorchFileTest, RefusesAnArchiveWhoseDirectoryLies) {
  const std::vector<SavedTensor> tensors = {counting("w", {4})};
  const std::vector<ZippedFile> good = torch_files(tensors, dict_program(tensors));
  const auto with = [&](const auto& change) {
    std::vector<ZippedFile> files = good;
    change(files);
    return zip(files);
  };
  expect_refused(with([](auto& files) { files.push_back(files[2]); }), "'archive/data/0' is in it twice");
  expect_refused(with([](auto& files) { files[2].method = 8; }), "is compressed");
  expect_refused(with([](auto& files) { files[2].flags = 1; }), "is encrypted");
  expect_refused(with([](auto& files) { files[1].bytes = "big"; }), "byte order");
  expect_refused(with([](auto& files) { files.push_back({"other/data.pkl", ""}); }), "two programs");
  expect_refused(with([](auto& files) { files.erase(files.begin()); }), "not one that torch.save wrote");

  const std::string archive = zip(good);
  const std::size_t directory = archive.find("PK\x01\x02");
  const auto altered = [&](std::size_t at, std::uint32_t value) {
    std::string bytes = archive;
    bytes.replace(at, 4, little(value));
    return bytes;
  };
  expect_refused(altered(directory + 20, 400'000), "is compressed");  // the size of the first file, one of two
  expect_refused(altered(directory + 42, 5), "the place of 'archive/data.pkl'");  // where it is
  expect_refused(altered(directory + 42, 0xFFFFFFF0), "the place of 'archive/data.pkl'");
  expect_refused(altered(directory + 42, 0xFFFFFFFF),
                 "the place of 'archive/data.pkl'");                          // in a zip64 field that is not there
  expect_refused(altered(archive.size() - 10, 3), "not where it should be");  // the directory's length
  expect_refused(altered(archive.size() - 6, 0), "not where it should be");   // the directory's place
  std::string fewer = archive;
  fewer[archive.size() - 12] = 1;
  expect_refused(fewer, "directory is cut short");
}

TEST_F(TorchFileTest, RefusesFilesOfAnArchiveThatOverlap) {
  const std::vector<SavedTensor> tensors = {counting("w", {4})};
  std::string archive = zip(torch_files(tensors, dict_program(tensors)));
  // The first file, its size in both fields raised so that it reaches into the second.
  const std::size_t entry = archive.find("PK\x01\x02");
  std::uint32_t size = 0;
  std::memcpy(&size, archive.data() + entry + 20, sizeof size);
  for (const std::size_t at : {entry + 20, entry + 24}) archive.replace(at, 4, little(size + 20));
  expect_refused(archive, "two of its files overlap");
}

TEST_F(TorchFileTest, RefusesAFileThatIsCutShortAnywhere) {
  const std::string archive = torch_archive({counting("w", {4})});
  for (std::size_t length = 0; length < archive.size(); ++length) {
    EXPECT_THROW(open(archive.substr(0, length)), Error) << length;
  }
}

TEST_F(TorchFileTest, SaysWhatElseAFileIs) {
  expect_refused("", "not a file that torch.save wrote");
  expect_refused(std::string("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.", 15), "PyTorch before 1.6");
  expect_refused("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n", "Git LFS pointer");
  expect_refused("\n<!DOCTYPE HTML><html>", "web page");
  expect_refused(little<std::uint64_t>(20) + "{\"a\": 1}", "safetensors file under the name of the other");
}

TEST_F(TorchFileTest, ReadsOrRefusesEveryMutation) {
  SavedTensor strided = counting("strided", {3, 4});
  strided.strides = {1, 3};
  const std::string archive = torch_archive({counting("w", {2, 3}), strided});
  const std::size_t directory = archive.find("PK\x01\x02");
  std::mt19937 random(7);
  int read = 0;
  for (int round = 0; round < 6'000; ++round) {
    std::string bytes = archive;
    const std::size_t from = round % 3 == 0 ? directory : 0;  // a third of them in the directory
    for (std::size_t changes = 1 + random() % 3; changes > 0; --changes) {
      const std::size_t at = from + random() % (bytes.size() - from);
      const std::uint32_t kind = random() % 4;
      if (kind == 0) bytes[at] = static_cast<char>(random());
      if (kind == 1) bytes[at] = static_cast<char>(bytes[at] ^ (1U << (random() % 8)));
      if (kind == 2) bytes.erase(at, 1 + random() % 8);
      if (kind == 3) bytes.insert(at, 1 + random() % 8, "\xff\x7f\x00\x80"[random() % 4]);
    }
    try {
      const TorchFile file = open(bytes);
      for (const PickledTensor& tensor : file.tensors()) numbers(file, tensor.name);
      ++read;
    } catch (const Error&) {
    }
  }
  EXPECT_GT(read, 100);  // changed weights, names and ignored fields are no fault of the file
}

}  // namespace
}  // namespace mformer
