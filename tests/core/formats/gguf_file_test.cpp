#include "core/formats/gguf_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/core/formats/formats_test_support.h"
#include "tests/support/gguf_bytes.h"

namespace mformer {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

/// What opening a file of these bytes is refused with; "" if it is not.
std::string refusal_of(const std::string& bytes) {
  const TestFolder folder;
  write_text(folder / "model.gguf", bytes);
  return error_of([&] { GgufFile::open(folder / "model.gguf"); });
}

GgufBytes small_file() {
  GgufBytes file;
  file.word("general.architecture", "llama").whole("llama.block_count", 2).number("eps", 1e-5F).truth("yes", true);
  file.words("tokens", {"a", "é"}).wholes("types", {1, -3}).numbers("scores", {0.5F, -1.0F});
  file.floats("first", {2, 3}, {0, 1, 2, 3, 4, 5});
  file.tensor("half", {4}, 1, GgufBytes::raw<std::uint64_t>(0x3C00'4000'C000'0001));
  return file;
}

TEST(GgufFile, ReadsMetadataOfEveryKindAndTensorsInRowMajorShapes) {
  const TestFolder folder;
  write_text(folder / "model.gguf", small_file().bytes());
  const GgufFile file = GgufFile::open(folder / "model.gguf");
  EXPECT_EQ(std::get<std::string>(file.metadata().at("general.architecture")), "llama");
  EXPECT_EQ(std::get<std::int64_t>(file.metadata().at("llama.block_count")), 2);
  EXPECT_EQ(std::get<double>(file.metadata().at("eps")), 1e-5) << "the number that float32 was written for";
  EXPECT_EQ(std::get<bool>(file.metadata().at("yes")), true);
  EXPECT_THAT(std::get<std::vector<std::string>>(file.metadata().at("tokens")), ElementsAre("a", "é"));
  EXPECT_THAT(std::get<std::vector<std::int64_t>>(file.metadata().at("types")), ElementsAre(1, -3));
  EXPECT_THAT(std::get<std::vector<double>>(file.metadata().at("scores")), ElementsAre(0.5, -1.0));
  const GgufTensor& first = *file.find("first");
  EXPECT_THAT(first.shape, ElementsAre(3, 2));
  float values[2];
  file.read(first, 3, std::as_writable_bytes(std::span(values)));
  EXPECT_THAT(values, ElementsAre(3, 4));
  EXPECT_EQ(file.find("half")->dtype, DType::F16);
  EXPECT_EQ(file.find("other"), nullptr);
}

TEST(GgufFile, ReadsVersion2AsVersion3) {
  GgufBytes file = small_file();
  file.version = 2;
  EXPECT_THAT(refusal_of(file.bytes()), IsEmpty());
}

TEST(GgufFile, ReadsPartsOfAQuantisedTensorAcrossItsBlocks) {
  std::string blocks;
  std::vector<float> all;
  for (int block = 0; block < 3; ++block) {
    blocks += GgufBytes::raw<std::uint16_t>(0x3C00);  // 1
    for (int i = 0; i < 32; ++i) {
      blocks += static_cast<char>(block * 32 + i - 40);
      all.push_back(static_cast<float>(block * 32 + i - 40));
    }
  }
  GgufBytes bytes;
  bytes.tensor("codes", {32, 3}, 8, blocks);
  const TestFolder folder;
  write_text(folder / "model.gguf", bytes.bytes());
  const GgufFile file = GgufFile::open(folder / "model.gguf");
  for (const std::size_t first : {0, 1, 31, 32, 60, 95}) {
    for (std::size_t count = 0; count <= 96 - first; ++count) {
      std::vector<float> some(count);
      file.read(*file.find("codes"), static_cast<std::int64_t>(first), std::as_writable_bytes(std::span(some)));
      const std::vector<float> expected(all.begin() + static_cast<std::ptrdiff_t>(first),
                                        all.begin() + static_cast<std::ptrdiff_t>(first + count));
      ASSERT_EQ(some, expected) << first << " " << count;
    }
  }
}

TEST(GgufFile, RefusesWhatIsNoGgufFileOfAVersionThatItReads) {
  GgufBytes file = small_file();
  file.magic = "GGML";
  EXPECT_THAT(refusal_of(file.bytes()), HasSubstr("does not begin with GGUF"));
  file.magic = "GGUF";
  file.version = 1;
  EXPECT_THAT(refusal_of(file.bytes()), HasSubstr("GGUF version 1"));
  file.version = 0x03000000;
  EXPECT_THAT(refusal_of(file.bytes()), HasSubstr("big-endian"));
  EXPECT_THAT(refusal_of(""), HasSubstr("ends within its header"));
  EXPECT_THAT(refusal_of("version https://git-lfs.github.com/spec/v1\noid sha256:0\n"), HasSubstr("Git LFS pointer"));
  EXPECT_THAT(refusal_of("<!DOCTYPE html><html>"), HasSubstr("web page"));
}

TEST(GgufFile, RefusesAFileCutAtAnyByte) {
  const std::string whole = small_file().bytes();
  ASSERT_THAT(refusal_of(whole), IsEmpty());
  for (std::size_t bytes = 0; bytes < whole.size(); ++bytes) {
    EXPECT_THAT(refusal_of(whole.substr(0, bytes)), Not(IsEmpty())) << bytes;
  }
}

TEST(GgufFile, RefusesCountsAndLengthsThatTheFileCannotHold) {
  for (const std::int64_t more : {std::int64_t{1} << 20, std::int64_t{1} << 40, std::int64_t{-10}}) {
    GgufBytes file = small_file();
    file.more_tensors = more;
    EXPECT_THAT(refusal_of(file.bytes()), HasSubstr("tensors")) << more;
    file = small_file();
    file.more_keys = more;
    EXPECT_THAT(refusal_of(file.bytes()), HasSubstr("keys of metadata")) << more;
  }
  for (const std::uint64_t length : {std::uint64_t{1000}, std::uint64_t{1} << 63, ~std::uint64_t{0}}) {
    GgufBytes file;
    EXPECT_THAT(refusal_of(file.key("k", 8, GgufBytes::raw(length) + "abc").bytes()), HasSubstr("'k' has "));
    GgufBytes list;
    list.key("k", 9, GgufBytes::raw<std::uint32_t>(0) + GgufBytes::raw(length) + "abc");
    EXPECT_THAT(refusal_of(list.bytes()), HasSubstr("values in the list 'k'"));
  }
}

TEST(GgufFile, RefusesValuesOfKindsThatItCannotHold) {
  EXPECT_THAT(refusal_of(GgufBytes().key("k", 13, "").bytes()), HasSubstr("unknown kind 13"));
  EXPECT_THAT(refusal_of(GgufBytes().key("k", 7, "\x02").bytes()), HasSubstr("neither true nor false"));
  const std::string inner = GgufBytes::raw<std::uint32_t>(0) + GgufBytes::raw<std::uint64_t>(0);
  const std::string outer = GgufBytes::raw<std::uint32_t>(9) + GgufBytes::raw<std::uint64_t>(1) + inner;
  EXPECT_THAT(refusal_of(GgufBytes().key("k", 9, outer).bytes()), HasSubstr("list of lists"));
  EXPECT_THAT(refusal_of(GgufBytes().key("k", 10, GgufBytes::raw(~std::uint64_t{0})).bytes()), HasSubstr("'k' is 184"));
  EXPECT_THAT(refusal_of(GgufBytes().word("k", "\xFF\xFE").bytes()), HasSubstr("not UTF-8"));
  EXPECT_THAT(refusal_of(GgufBytes().word("\xC3", "").bytes()), HasSubstr("a key of the metadata is not UTF-8"));
  EXPECT_THAT(refusal_of(GgufBytes().words("k", {"a", "\xED\xA0\x80"}).bytes()), HasSubstr("list 'k' is not UTF-8"));
  EXPECT_THAT(refusal_of(GgufBytes().whole("k", 1).whole("k", 1).bytes()), HasSubstr("'k' is there twice"));
}

TEST(GgufFile, RefusesAlignmentsThatAreNoPowersOfTwo) {
  for (const std::uint32_t alignment : {0U, 3U, 48U, 1U << 31}) {
    EXPECT_THAT(refusal_of(GgufBytes().whole("general.alignment", alignment).bytes()), HasSubstr("power of two"));
  }
  EXPECT_THAT(refusal_of(GgufBytes().word("general.alignment", "32").bytes()), HasSubstr("power of two"));
  GgufBytes wide;
  wide.alignment = 64;
  wide.whole("general.alignment", 64).floats("a", {1}, {1}).floats("b", {1}, {2});
  EXPECT_THAT(refusal_of(wide.bytes()), IsEmpty());
}

TEST(GgufFile, RefusesTensorsThatLieAnywhereButOneAfterTheOther) {
  const std::string data(64, '\1');
  EXPECT_THAT(refusal_of(GgufBytes().tensor("a", {8}, 0, data).tensor("a", {8}, 0, data).bytes()), HasSubstr("twice"));
  for (const std::int64_t offset : {0, 16, 33, 96, 1 << 30}) {  // on the first, unaligned, with a hole, far away
    GgufBytes file;
    file.tensor("a", {16}, 0, data).tensor("b", {16}, 0, data, offset);
    EXPECT_THAT(refusal_of(file.bytes()), HasSubstr("'b' begins at byte " + std::to_string(offset)));
  }
  GgufBytes beyond;
  beyond.tensor("a", {1000}, 0, data);
  EXPECT_THAT(refusal_of(beyond.bytes()), HasSubstr("beyond the end"));
  GgufBytes more;
  more.tensor("a", {8}, 0, data);
  EXPECT_THAT(refusal_of(more.bytes()), HasSubstr("32 bytes after its last tensor"));
}

TEST(GgufFile, RefusesImpossibleShapes) {
  const std::uint64_t huge = std::uint64_t{1} << 62;
  EXPECT_THAT(refusal_of(GgufBytes().tensor("a", {}, 0, "").bytes()), HasSubstr("0 dimensions"));
  EXPECT_THAT(refusal_of(GgufBytes().tensor("a", {1, 1, 1, 1, 1}, 0, "abcd").bytes()), HasSubstr("5 dimensions"));
  EXPECT_THAT(refusal_of(GgufBytes().tensor("a", {huge, 4}, 0, "").bytes()), HasSubstr("impossible shape"));
  EXPECT_THAT(refusal_of(GgufBytes().tensor("a", {huge, 4}, 8, "").bytes()), HasSubstr("impossible shape"));
  EXPECT_THAT(refusal_of(GgufBytes().tensor("a", {~std::uint64_t{0}}, 0, "").bytes()), HasSubstr("a dimension of 184"));
  EXPECT_THAT(refusal_of(GgufBytes().tensor("a", {33, 1}, 8, "").bytes()), HasSubstr("not whole blocks of Q8_0"));
}

TEST(GgufFile, NamesTheElementTypeThatItDoesNotRead) {
  EXPECT_THAT(refusal_of(GgufBytes().tensor("a", {256}, 10, "").bytes()), HasSubstr("of type Q2_K"));
  EXPECT_THAT(refusal_of(GgufBytes().tensor("a", {256}, 23, "").bytes()), HasSubstr("of type IQ4_XS"));
  EXPECT_THAT(refusal_of(GgufBytes().tensor("a", {256}, 4, "").bytes()), HasSubstr("of type number 4"));
}

TEST(GgufFile, AFileThatIsCutWhileItIsReadGivesASentence) {
  const TestFolder folder;
  write_text(folder / "model.gguf", small_file().bytes());
  const GgufFile file = GgufFile::open(folder / "model.gguf");
  std::filesystem::resize_file(folder / "model.gguf", 100);
  float values[6];
  EXPECT_THAT(error_of([&] { file.read(*file.find("first"), 0, std::as_writable_bytes(std::span(values))); }),
              HasSubstr("ends before byte"));
}

GgufBytes part(std::uint32_t number, std::uint32_t count, const std::string& tensor) {
  GgufBytes file;
  file.whole("split.no", number).whole("split.count", count).floats(tensor, {1}, {1});
  return file;
}

TEST(GgufFile, OpensAllPartsOfAModelByAnyOfThem) {
  const TestFolder folder;
  write_text(folder / "m-00001-of-00002.gguf", part(0, 2, "a").bytes());
  write_text(folder / "m-00002-of-00002.gguf", part(1, 2, "b").bytes());
  for (const char* name : {"m-00001-of-00002.gguf", "m-00002-of-00002.gguf"}) {
    const auto parts = open_gguf_files(folder / name);
    ASSERT_EQ(parts.size(), 2U);
    EXPECT_NE(parts[0].find("a"), nullptr);
    EXPECT_NE(parts[1].find("b"), nullptr);
  }
}

TEST(GgufFile, RefusesPartsThatDoNotBelongTogether) {
  const TestFolder folder;
  const auto refusal = [&](const char* name) { return error_of([&] { open_gguf_files(folder / name); }); };
  write_text(folder / "m-00001-of-00002.gguf", part(0, 2, "a").bytes());
  EXPECT_THAT(refusal("m-00001-of-00002.gguf"), HasSubstr("'m-00002-of-00002.gguf' is not beside it"));
  write_text(folder / "m-00002-of-00002.gguf", part(0, 2, "b").bytes());
  EXPECT_THAT(refusal("m-00001-of-00002.gguf"), HasSubstr("not part 2 of 2"));
  write_text(folder / "m-00002-of-00002.gguf", part(1, 2, "a").bytes());
  EXPECT_THAT(refusal("m-00001-of-00002.gguf"), HasSubstr("'a' is also in"));
  write_text(folder / "renamed.gguf", part(0, 2, "a").bytes());
  EXPECT_THAT(refusal("renamed.gguf"), HasSubstr("one of 2 parts"));
}

}  // namespace
}  // namespace mformer
