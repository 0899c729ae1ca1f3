#include "core/formats/gguf_types.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>

#include "core/formats/half_float.h"
#include "modules_registry/files.h"

namespace mformer {
namespace {

using nlohmann::json;

/// tests/data/gguf/record_blocks.py made it with the Python package `gguf`.
const json& recorded() {
  static const json record = json::parse(read_file(MFORMER_TEST_DATA "/gguf/blocks.json"));
  return record;
}

std::vector<std::byte> bytes_of_hex(const std::string& hex) {
  std::vector<std::byte> bytes;
  for (std::size_t i = 0; i < hex.size(); i += 2) {
    bytes.push_back(static_cast<std::byte>(std::stoi(hex.substr(i, 2), nullptr, 16)));
  }
  return bytes;
}

std::vector<float> floats_of_hex(const std::string& hex) {
  const std::vector<std::byte> bytes = bytes_of_hex(hex);
  std::vector<float> numbers(bytes.size() / sizeof(float));
  std::memcpy(numbers.data(), bytes.data(), bytes.size());
  return numbers;
}

GgufType type_named(const std::string& name) {
  for (std::uint32_t number = 0; number < 64; ++number) {
    if (gguf_type_name(number) == name) return gguf_type(number).value();
  }
  ADD_FAILURE() << "no type " << name;
  return GgufType::F32;
}

std::vector<float> decoded(GgufType type, const std::vector<std::byte>& blocks) {
  std::vector<float> numbers(blocks.size() / gguf_block(type).bytes *
                             static_cast<std::size_t>(gguf_block(type).elements));
  if (is_quantised(type)) {
    decode_gguf_blocks(type, blocks, numbers);
    return numbers;
  }
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    std::uint16_t bits = 0;
    std::memcpy(&bits, blocks.data() + 2 * i, sizeof bits);
    numbers[i] = type == GgufType::F16 ? half_to_float(bits) : bfloat16_to_float(bits);
  }
  return numbers;
}

TEST(GgufTypes, BlocksOfEveryTypeBecomeTheNumbersOfTheGgufPackageBitForBit) {
  ASSERT_EQ(recorded()["decoded"].size(), 10U);
  for (const auto& [name, record] : recorded()["decoded"].items()) {
    const std::vector<float> numbers = decoded(type_named(name), bytes_of_hex(record["blocks"]));
    const std::vector<float> expected = floats_of_hex(record["numbers"]);
    ASSERT_EQ(numbers.size(), expected.size()) << name;
    EXPECT_EQ(std::memcmp(numbers.data(), expected.data(), numbers.size() * sizeof(float)), 0) << name;
  }
}

TEST(GgufTypes, NumbersBecomeTheBlocksOfTheGgufPackageBitForBit) {
  ASSERT_EQ(recorded()["encoded"].size(), 5U);
  for (const auto& [name, record] : recorded()["encoded"].items()) {
    const std::vector<std::byte> expected = bytes_of_hex(record["blocks"]);
    std::vector<std::byte> blocks(expected.size());
    encode_gguf_blocks(type_named(name), floats_of_hex(record["numbers"]), blocks);
    EXPECT_EQ(blocks, expected) << name;
  }
}

TEST(GgufTypes, EveryHalfPrecisionNumberComesBackAndWhatLiesBetweenIsRounded) {
  for (std::uint32_t bits = 0; bits < 0x7C00; ++bits) {
    const auto half = static_cast<std::uint16_t>(bits);
    ASSERT_EQ(float_to_half(half_to_float(half)), half);
    if (bits + 1 == 0x7C00) break;
    const float low = half_to_float(half), high = half_to_float(static_cast<std::uint16_t>(bits + 1));
    const float middle = (low + high) / 2;
    ASSERT_EQ(float_to_half(std::nextafter(middle, low)), bits);
    ASSERT_EQ(float_to_half(middle), bits + bits % 2) << "of two as near the even one";
    ASSERT_EQ(float_to_half(std::nextafter(middle, high)), bits + 1);
    ASSERT_EQ(float_to_half(-low), bits | 0x8000U);
  }
  EXPECT_EQ(float_to_half(65520), 0x7C00) << "infinity";
  EXPECT_EQ(float_to_half(1e30F), 0x7C00);
  EXPECT_TRUE(std::isnan(half_to_float(float_to_half(std::nanf("")))));
}

}  // namespace
}  // namespace mformer
