// What a damaged or hostile safetensors file gets: one sentence that names file and tensor, never more.
#include "core/formats/safetensors.h"
#include "tests/core/formats/formats_test_support.h"

namespace mformer {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

// The good file of which the others are corruptions.
const std::string kData = "12345678";
std::string good_header() {
  return R"({"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
         R"("b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})";
}

std::string replaced(const std::string& from, const std::string& to) {
  std::string header = good_header();
  const std::size_t position = header.find(from);
  if (position == std::string::npos) throw Error("the test replaces nothing: " + from);
  return header.replace(position, from.size(), to);
}

struct Corruption {
  std::string header;
  std::string sentence;
  std::string data = kData;
};

TEST(CorruptSafetensors, TheUncorruptedFileIsRead) {
  const auto bytes = raw_file(good_header(), kData);
  EXPECT_EQ(SafetensorsFile::parse(bytes, "f").tensors().size(), 2u);
}

TEST(CorruptSafetensors, EachCorruptionHasItsSentence) {
  const std::string deep = std::string(100000, '[');
  const std::string many = [] {
    std::string list = "[1";
    for (int i = 0; i < 40; ++i) list += ",1";
    return list + "]";
  }();
  const std::vector<Corruption> corruptions{
      {"", "not a JSON object"},
      {"[]", "not a JSON object"},
      {"   {}", "not a JSON object"},
      {"{\"a\":", "not valid JSON"},
      {replaced("\"pt\"", "\"\xff\""), "not valid JSON"},
      {good_header() + "x", "not valid JSON"},
      {good_header() + std::string("\0x", 2), "not valid JSON"},
      {replaced("[1]", "1e999999"), "not valid JSON"},
      {replaced("\"b\"", "\"a\""), "tensor 'a' appears twice"},
      {replaced("\"dtype\":\"F32\"", "\"dtype\":\"F32\",\"dtype\":\"F32\""), "'dtype' of 'a' appears twice"},
      {replaced("[1]", deep), "nested too deeply"},
      {replaced("[1]", many), "tensor 'a' has a list of more than 32"},
      {"{\"a\":" + many + "}", "tensor 'a' has a list of more than 32"},
      {replaced("{\"format\":\"pt\"}", "3"), "__metadata__ is not a JSON object"},
      {replaced("\"pt\"", "3"), "__metadata__ 'format' is not a string"},
      {R"({"a":3})", "tensor 'a' is not described by a JSON object"},
      {replaced("\"dtype\"", "\"type\""), "tensor 'a' has an unknown field 'type'"},
      {replaced("\"dtype\":\"F32\",", ""), "tensor 'a' has no 'dtype'"},
      {replaced("\"shape\":[1],", ""), "tensor 'a' has no 'shape'"},
      {replaced(",\"data_offsets\":[0,4]", ""), "tensor 'a' has no 'data_offsets'"},
      {replaced("\"F32\"", "32"), "tensor 'a' has a dtype that is not a string"},
      {replaced("F32", "F31"), "tensor 'a' has the unknown dtype 'F31'"},
      {replaced("F32", "U64"), "tensor 'a' has the unknown dtype 'U64'"},
      {replaced("[1]", "1"), "tensor 'a' has a shape that is not a list"},
      {replaced("[1]", "[-1]"), "tensor 'a' has a shape with the impossible dimension -1"},
      {replaced("[1]", "[1.5]"), "tensor 'a' has a shape with the impossible dimension 1.5"},
      {replaced("[1]", "[\"1\"]"), "tensor 'a' has a shape with the impossible dimension"},
      {replaced("[1]", "[9223372036854775808]"), "impossible dimension 9223372036854775808"},
      {replaced("[1]", "[99999999999999999999999]"), "impossible dimension"},
      {replaced("[1]", "[4294967296,4294967296]"), "has the shape [4294967296, 4294967296], which overflows"},
      {replaced("[1]", "[4611686018427387905]"), "which overflows"},  // times four bytes = 4 modulo 2^64
      {replaced("[1]", "[2]"), "tensor 'a' holds 4 bytes, but [2] of F32 needs 8"},
      {replaced("[1]", "[0]"), "tensor 'a' holds 4 bytes, but [0] of F32 needs 0"},
      {replaced("[0,4]", "[0]"), "tensor 'a' has data_offsets that are not two whole numbers"},
      {replaced("[0,4]", "[-4,0]"), "tensor 'a' has data_offsets that are not two whole numbers"},
      {replaced("[0,4]", "{}"), "tensor 'a' has data_offsets that are not two whole numbers"},
      {replaced("[0,4]", "[4,0]"), "tensor 'a' ends (0) before it begins (4)"},
      {replaced("[4,8]", "[8,12]"), "tensor 'b' ends at byte 12 of the data, which has only 8"},
      {replaced("[4,8]", "[18446744073709551612,18446744073709551615]"), "ends at byte 18446744073709551615"},
      {replaced("[4,8]", "[2,6]"), "tensors 'a' and 'b' overlap"},
      {replaced("[4,8]", "[0,4]"), "tensors 'a' and 'b' overlap"},
      {replaced("[4,8]", "[5,9]"), "1 bytes before tensor 'b' belong to no tensor", kData + "9"},
      {replaced("[0,4]", "[4,8]"), "4 bytes before tensor 'a' belong to no tensor"},
      {good_header(), "the last 3 bytes belong to no tensor", kData + "abc"},
      {good_header(), "tensor 'b' ends at byte 8 of the data, which has only 7", "1234567"},
  };
  for (const Corruption& corruption : corruptions) {
    const auto bytes = raw_file(corruption.header, corruption.data);
    const std::string message = error_of([&] { SafetensorsFile::parse(bytes, "f.safetensors"); });
    EXPECT_THAT(message, StartsWith("f.safetensors: "));
    EXPECT_THAT(message, HasSubstr(corruption.sentence)) << corruption.header.substr(0, 200);
    EXPECT_EQ(message.find('\n'), std::string::npos);
  }
}

TEST(CorruptSafetensors, AWrongHeaderLengthIsRefused) {
  const auto with_length = [](std::uint64_t length) {
    auto bytes = raw_file(good_header(), kData);
    std::memcpy(bytes.data(), &length, sizeof length);
    return error_of([&] { SafetensorsFile::parse(bytes, "f"); });
  };
  EXPECT_THAT(with_length(0), HasSubstr("not a JSON object"));
  EXPECT_THAT(with_length(99'999'999), HasSubstr("claims 99999999 bytes, but only"));
  EXPECT_THAT(with_length(100'000'001), HasSubstr("more than the 100 MB allowed"));
  EXPECT_THAT(with_length(~std::uint64_t{0}), HasSubstr("more than the 100 MB allowed"));
}

TEST(CorruptSafetensors, EveryTruncationIsRefused) {
  const auto bytes = raw_file(good_header(), kData);
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    EXPECT_NE(error_of([&] { SafetensorsFile::parse(Bytes(bytes).first(length), "f"); }), "") << length;
  }
}

TEST(CorruptSafetensors, NamesInMessagesAreShortAndPrintable) {
  const std::string name = "\\u001b[31m" + std::string(5000, 'x');
  const auto bytes = raw_file("{\"" + name + "\":3}", "");
  const std::string message = error_of([&] { SafetensorsFile::parse(bytes, "f"); });
  EXPECT_LT(message.size(), 300u);
  EXPECT_EQ(message.find('\x1b'), std::string::npos);
}

TEST(CorruptSafetensors, AMissingFileAFolderAndAnEmptyFileAreRefused) {
  const TestFolder scratch;
  write_text(scratch / "empty", "");
  EXPECT_THAT(error_of([&] { SafetensorsFile::open(scratch / "none"); }), HasSubstr("none"));
  EXPECT_THAT(error_of([&] { SafetensorsFile::open(scratch.path()); }), HasSubstr("is not a file"));
  EXPECT_THAT(error_of([&] { SafetensorsFile::open(scratch / "empty"); }), HasSubstr("0 bytes are too few"));
}

// Touches every byte that a view offers, so that a sanitizer sees a view that reaches too far.
std::size_t sum(const SafetensorsFile& file) {
  std::size_t total = 0;
  for (const TensorView& tensor : file.tensors()) {
    for (const std::byte byte : tensor.content()) total += static_cast<std::size_t>(byte);
  }
  return total;
}

TEST(CorruptSafetensors, RandomDamageIsRefusedOrHarmless) {
  std::mt19937 random(7);
  const auto good = raw_file(good_header(), kData);
  std::size_t refused = 0;
  for (int round = 0; round < 20000; ++round) {
    auto bytes = good;
    for (std::size_t flips = 1 + random() % 3; flips > 0; --flips) {
      bytes[random() % bytes.size()] = static_cast<std::byte>(random());
    }
    if (random() % 8 == 0) bytes.resize(random() % bytes.size());
    bytes.shrink_to_fit();
    try {
      sum(SafetensorsFile::parse(bytes, "f"));
    } catch (const Error&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, 10000u);
}

}  // namespace
}  // namespace mformer
