#include "core/formats/safetensors.h"

#include <algorithm>
#include <filesystem>
#include <functional>
#include <set>

#include "tests/core/formats/formats_test_support.h"

namespace mformer {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr DType kAllDTypes[] = {DType::F64, DType::F32, DType::F16, DType::BF16, DType::I64,
                                DType::I32, DType::I16, DType::I8,  DType::U8,   DType::BOOL};

std::vector<OwnedTensor> random_tensors(std::mt19937& random) {
  std::vector<OwnedTensor> tensors;
  const std::size_t count = random() % 12;
  for (std::size_t i = 0; i < count; ++i) {
    std::vector<std::int64_t> shape(random() % 4);
    for (std::int64_t& dimension : shape) dimension = random() % 5;  // scalars and empty tensors included
    tensors.push_back(random_tensor("t" + std::to_string(i) + ".ü", kAllDTypes[random() % 10], shape, random));
  }
  return tensors;
}

void expect_equal(const TensorView& read, const OwnedTensor& written) {
  EXPECT_EQ(read.dtype, written.dtype);
  EXPECT_EQ(read.shape, written.shape);
  ASSERT_EQ(read.bytes, written.bytes.size());
  EXPECT_EQ(written.bytes, read.content());
}

TEST(Safetensors, WhatWasWrittenIsRead) {
  std::mt19937 random(1);
  for (int round = 0; round < 200; ++round) {
    const auto tensors = random_tensors(random);
    const std::map<std::string, std::string> metadata{{"format", "pt"}, {"round", std::to_string(round)}};
    const auto bytes = serialize_safetensors(to_write(tensors), metadata);
    const auto file = SafetensorsFile::parse(bytes, "memory");
    EXPECT_EQ(file.metadata(), metadata);
    ASSERT_EQ(file.tensors().size(), tensors.size());
    for (const OwnedTensor& tensor : tensors) expect_equal(file.get(tensor.name), tensor);
  }
}

TEST(Safetensors, EveryTensorIsAlignedAndTheHeaderPaddedToEightBytes) {
  std::mt19937 random(2);
  for (int round = 0; round < 50; ++round) {
    const auto bytes = serialize_safetensors(to_write(random_tensors(random)));
    const auto file = SafetensorsFile::parse(bytes, "memory");
    std::uint64_t header = 0;
    std::memcpy(&header, bytes.data(), sizeof header);
    EXPECT_EQ(header % 8, 0u);
    for (const TensorView& tensor : file.tensors()) {
      EXPECT_EQ(tensor.offset % item_size(tensor.dtype), 0u) << tensor.name;
    }
  }
}

TEST(Safetensors, TheSameTensorsGiveTheSameBytes) {
  std::mt19937 first(3), second(3);
  EXPECT_EQ(serialize_safetensors(to_write(random_tensors(first)), {{"a", "1"}, {"b", "2"}}),
            serialize_safetensors(to_write(random_tensors(second)), {{"b", "2"}, {"a", "1"}}));
}

TEST(Safetensors, TheBytesAreThoseOfTheFormat) {
  const std::vector<std::byte> data{std::byte{1}, std::byte{2}};
  const auto bytes = serialize_safetensors({{"a", DType::U8, {2}, data}});
  const std::string header = R"({"a":{"data_offsets":[0,2],"dtype":"U8","shape":[2]}})";
  EXPECT_EQ(bytes, raw_file(header + std::string(8 - header.size() % 8, ' '), "\x01\x02"));
}

TEST(Safetensors, NamesComeInTheOrderOfTheData) {
  const std::string data(6, 'x');
  const auto bytes = raw_file(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[4,6]},
                                  "b":{"dtype":"I32","shape":[],"data_offsets":[0,4]}})",
                              data);
  EXPECT_THAT(SafetensorsFile::parse(bytes, "memory").names(), ElementsAre("b", "a"));
}

TEST(Safetensors, AFileOnDiskEqualsTheSerialisedBytes) {
  const TestFolder scratch;
  std::mt19937 random(4);
  const auto tensors = random_tensors(random);
  write_safetensors(scratch / "x.safetensors", to_write(tensors), {{"k", "v"}});
  const std::string text = read_file(scratch / "x.safetensors");
  const auto bytes = serialize_safetensors(to_write(tensors), {{"k", "v"}});
  EXPECT_TRUE(std::ranges::equal(as_bytes(text), bytes));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(scratch.path()), {}), 1) << "a temporary file is left";
}

TEST(Safetensors, ViewsOutliveTheObjectTheyWereTakenFromWhileACopyLives) {
  const TestFolder scratch;
  const std::vector<std::byte> data{std::byte{42}};
  write_safetensors(scratch / "x.safetensors", {{"a", DType::U8, {1}, data}});
  auto file = std::make_unique<SafetensorsFile>(SafetensorsFile::open(scratch / "x.safetensors"));
  const TensorView& view = file->get("a");
  const SafetensorsFile copy = *file;
  file.reset();
  std::filesystem::remove(scratch / "x.safetensors");
  EXPECT_EQ(view.content().at(0), std::byte{42});
}

TEST(Safetensors, AFileThatIsCutOrWrittenToWhileItIsOpenGivesAnErrorAndNoSignal) {
  const TestFolder scratch;
  const std::filesystem::path path = scratch / "x.safetensors";
  const std::vector<std::byte> data(100'000, std::byte{42});
  const auto after = [&](const std::function<void()>& change) {
    write_safetensors(path, {{"a", DType::U8, {100'000}, data}});
    const SafetensorsFile file = SafetensorsFile::open(path);
    change();
    try {
      return file.get("a").content().empty() ? std::string() : std::string("read");
    } catch (const Error& error) {
      EXPECT_NE(error.hint(), "");
      return std::string(error.what());
    }
  };
  EXPECT_EQ(after([] {}), "read");
  EXPECT_THAT(after([&] { std::filesystem::resize_file(path, 5000); }), HasSubstr("ends before byte"));
  EXPECT_THAT(after([&] { std::filesystem::resize_file(path, 200'000); }), HasSubstr("changed while it was read"));
  EXPECT_THAT(after([&] { std::filesystem::last_write_time(path, {}); }), HasSubstr("changed while it was read"));
}

TEST(Safetensors, AFileThatNobodyMayWriteToIsReadOnWhenOnlyItsTimeChanges) {
  const TestFolder scratch;
  const std::filesystem::path path = scratch / "object";
  const std::vector<std::byte> data(100'000, std::byte{42});
  write_safetensors(path, {{"a", DType::U8, {100'000}, data}});
  std::filesystem::permissions(path, std::filesystem::perms::owner_read);
  const SafetensorsFile file = SafetensorsFile::open(path);
  std::filesystem::last_write_time(path, {});  // as another command does that stores the same object
  EXPECT_EQ(file.get("a").content(), data);
}

TEST(Safetensors, AnUnknownNameIsAnsweredWithTheNearest) {
  const std::vector<std::byte> data{std::byte{0}};
  const auto bytes = serialize_safetensors({{"lm_head.weight", DType::U8, {1}, data}});
  const auto file = SafetensorsFile::parse(bytes, "m.safetensors");
  EXPECT_EQ(file.find("lm_head.wieght"), nullptr);
  try {
    file.get("lm_head.wieght");
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "m.safetensors has no tensor 'lm_head.wieght'");
    EXPECT_THAT(error.hint(), HasSubstr("lm_head.weight"));
  }
}

TEST(Safetensors, TheWriterRefusesWhatNoReaderWouldAccept) {
  const std::vector<std::byte> data(4);
  const auto refusal = [](const std::vector<TensorToWrite>& tensors) {
    return error_of([&] { serialize_safetensors(tensors); });
  };
  EXPECT_THAT(refusal({{"a", DType::F32, {1}, data}, {"a", DType::F32, {1}, data}}), HasSubstr("'a' is given twice"));
  EXPECT_THAT(refusal({{"__metadata__", DType::F32, {1}, data}}), HasSubstr("reserved name"));
  EXPECT_THAT(refusal({{"a", DType::F32, {2}, data}}), HasSubstr("can't consist of 4 bytes"));
  EXPECT_THAT(refusal({{"a", DType::F32, {-1}, data}}), HasSubstr("can't consist of 4 bytes"));
  EXPECT_THAT(refusal({{"\xff", DType::F32, {1}, data}}), HasSubstr("not valid UTF-8"));
}

TEST(Safetensors, TensorsThatAreMadeInTurnGiveTheSameFile) {
  const TestFolder folder;
  const std::vector<std::byte> half(6, std::byte{1}), full(8, std::byte{2});
  const std::vector<TensorToWrite> tensors{{"half", DType::BF16, {3}, half}, {"full", DType::F32, {2}, full}};
  const std::vector<TensorInfo> infos(tensors.begin(), tensors.end());
  write_safetensors(folder / "once", tensors, {{"format", "pt"}});
  write_safetensors(folder / "turn", infos, {{"format", "pt"}}, [&](std::size_t i, const ByteSink& sink) {
    sink(tensors[i].data.first(2));
    sink(tensors[i].data.subspan(2));
  });
  EXPECT_EQ(read_file(folder / "turn"), read_file(folder / "once"));
  const auto too_few = [&](std::size_t i, const ByteSink& sink) { sink(tensors[i].data.first(2)); };
  EXPECT_THROW(write_safetensors(folder / "few", infos, {}, too_few), Error);
  EXPECT_FALSE(std::filesystem::exists(folder / "few"));
}

TEST(Safetensors, AFailedWriteLeavesTheOldFile) {
  const TestFolder scratch;
  write_text(scratch / "x.safetensors", "old");
  const std::vector<std::byte> data(4);
  EXPECT_NE(error_of([&] { write_safetensors(scratch / "x.safetensors", {{"a", DType::F32, {2}, data}}); }), "");
  EXPECT_EQ(read_file(scratch / "x.safetensors"), "old");
}

TEST(Safetensors, EveryDTypeHasAnOwnNameThatIsReadBack) {
  std::set<std::string_view> names;
  for (const DType dtype : kAllDTypes) {
    names.insert(dtype_name(dtype));
    EXPECT_EQ(parse_dtype(dtype_name(dtype)), dtype);
  }
  EXPECT_EQ(names.size(), std::size(kAllDTypes));
  EXPECT_EQ(parse_dtype("f32"), std::nullopt);
  EXPECT_EQ(parse_dtype("F8_E4M3"), std::nullopt);
}

}  // namespace
}  // namespace mformer
