#include "core/formats/gguf_types.h"

#include <array>
#include <bit>
#include <cmath>
#include <utility>

#include "core/formats/half_float.h"
#include "modules_registry/error.h"

namespace mformer {
namespace {

struct GgufTypeInfo {
  std::uint32_t number;
  const char* name;
  GgufBlock block;  ///< {0, 0}: known by its name only.
};

constexpr GgufTypeInfo kGgufTypes[] = {
    {0, "F32", {1, 4}},       {1, "F16", {1, 2}},     {2, "Q4_0", {32, 18}},    {3, "Q4_1", {32, 20}},
    {6, "Q5_0", {32, 22}},    {7, "Q5_1", {32, 24}},  {8, "Q8_0", {32, 34}},    {9, "Q8_1", {0, 0}},
    {10, "Q2_K", {0, 0}},     {11, "Q3_K", {0, 0}},   {12, "Q4_K", {256, 144}}, {13, "Q5_K", {256, 176}},
    {14, "Q6_K", {256, 210}}, {15, "Q8_K", {0, 0}},   {16, "IQ2_XXS", {0, 0}},  {17, "IQ2_XS", {0, 0}},
    {18, "IQ3_XXS", {0, 0}},  {19, "IQ1_S", {0, 0}},  {20, "IQ4_NL", {0, 0}},   {21, "IQ3_S", {0, 0}},
    {22, "IQ2_S", {0, 0}},    {23, "IQ4_XS", {0, 0}}, {24, "I8", {0, 0}},       {25, "I16", {0, 0}},
    {26, "I32", {0, 0}},      {27, "I64", {0, 0}},    {28, "F64", {0, 0}},      {29, "IQ1_M", {0, 0}},
    {30, "BF16", {1, 2}},     {34, "TQ1_0", {0, 0}},  {35, "TQ2_0", {0, 0}},    {39, "MXFP4", {0, 0}}};

const GgufTypeInfo* info_of(std::uint32_t number) {
  for (const GgufTypeInfo& known : kGgufTypes) {
    if (known.number == number) return &known;
  }
  return nullptr;
}

std::uint8_t u8(const std::byte* at) {
  return std::to_integer<std::uint8_t>(*at);
}

float half_at(const std::byte* at) {
  return half_to_float(static_cast<std::uint16_t>(u8(at) | u8(at + 1) << 8));
}

/// Four bits of each of 16 bytes: the low ones first, then the high ones.
int nibble(const std::byte* codes, int i) {
  return i < 16 ? u8(codes + i) & 0x0F : u8(codes + i - 16) >> 4;
}

/// The fifth bits of 32 codes.
int fifth_bit(const std::byte* bits, int i) {
  return u8(bits + i / 8) >> (i % 8) & 1;
}

void decode_q4_0(const std::byte* block, float* to) {
  const float d = half_at(block);
  for (int i = 0; i < 32; ++i) to[i] = d * static_cast<float>(nibble(block + 2, i) - 8);
}

void decode_q4_1(const std::byte* block, float* to) {
  const float d = half_at(block), m = half_at(block + 2);
  for (int i = 0; i < 32; ++i) to[i] = d * static_cast<float>(nibble(block + 4, i)) + m;
}

void decode_q5_0(const std::byte* block, float* to) {
  const float d = half_at(block);
  for (int i = 0; i < 32; ++i) {
    to[i] = d * static_cast<float>((nibble(block + 6, i) | fifth_bit(block + 2, i) << 4) - 16);
  }
}

void decode_q5_1(const std::byte* block, float* to) {
  const float d = half_at(block), m = half_at(block + 2);
  for (int i = 0; i < 32; ++i) {
    to[i] = d * static_cast<float>(nibble(block + 8, i) | fifth_bit(block + 4, i) << 4) + m;
  }
}

void decode_q8_0(const std::byte* block, float* to) {
  const float d = half_at(block);
  for (int i = 0; i < 32; ++i) to[i] = static_cast<float>(static_cast<std::int8_t>(u8(block + 2 + i))) * d;
}

/// Scale and minimum, six bits each, of one of the eight groups of a Q4_K or Q5_K block.
std::pair<int, int> scale_and_minimum(const std::byte* scales, int group) {
  if (group < 4) return {u8(scales + group) & 0x3F, u8(scales + 4 + group) & 0x3F};
  const int j = group - 4;
  const int both = u8(scales + 8 + j);
  return {(both & 0x0F) | (u8(scales + j) >> 2 & 0x30), (both >> 4) | (u8(scales + 4 + j) >> 2 & 0x30)};
}

/// `high`: where the fifth bits are, null for four bits.
void decode_q45_k(const std::byte* block, const std::byte* high, const std::byte* low, float* to) {
  const float d = half_at(block), dmin = half_at(block + 2);
  for (int group = 0; group < 8; ++group) {
    const auto [scale, minimum] = scale_and_minimum(block + 4, group);
    const float step = d * static_cast<float>(scale), least = dmin * static_cast<float>(minimum);
    for (int i = 0; i < 32; ++i) {
      int code = u8(low + group / 2 * 32 + i) >> (group % 2 * 4) & 0x0F;
      if (high != nullptr) code |= (u8(high + i) >> group & 1) << 4;
      to[group * 32 + i] = step * static_cast<float>(code) - least;
    }
  }
}

void decode_q4_k(const std::byte* block, float* to) {
  decode_q45_k(block, nullptr, block + 16, to);
}

void decode_q5_k(const std::byte* block, float* to) {
  decode_q45_k(block, block + 16, block + 48, to);
}

/// 16 groups of 16; of each half of the block 64 bytes of low nibbles, 32 bytes of two high bits, four codes a byte.
void decode_q6_k(const std::byte* block, float* to) {
  const std::byte *low = block, *high = block + 128, *scales = block + 192;
  const float d = half_at(block + 208);
  for (int i = 0; i < 256; ++i) {
    const int half = i / 128, quarter = i % 128 / 32, column = i % 32;
    const int four = u8(low + half * 64 + quarter % 2 * 32 + column) >> (quarter / 2 * 4) & 0x0F;
    const int two = u8(high + half * 32 + column) >> (quarter * 2) & 0x03;
    const float step = d * static_cast<float>(static_cast<std::int8_t>(u8(scales + i / 16)));
    to[i] = step * static_cast<float>((four | two << 4) - 32);
  }
}

using Decode = void (*)(const std::byte* block, float* to);

Decode decoder_of(GgufType type) {
  switch (type) {
    case GgufType::Q4_0:
      return decode_q4_0;
    case GgufType::Q4_1:
      return decode_q4_1;
    case GgufType::Q5_0:
      return decode_q5_0;
    case GgufType::Q5_1:
      return decode_q5_1;
    case GgufType::Q8_0:
      return decode_q8_0;
    case GgufType::Q4_K:
      return decode_q4_k;
    case GgufType::Q5_K:
      return decode_q5_k;
    case GgufType::Q6_K:
      return decode_q6_k;
    default:
      throw Error("GGUF type " + gguf_type_name(type) + " has no blocks");
  }
}

}  // namespace

std::optional<GgufType> gguf_type(std::uint32_t number) {
  const GgufTypeInfo* found = info_of(number);
  if (found == nullptr || found->block.elements == 0) return std::nullopt;
  return static_cast<GgufType>(number);
}

std::string gguf_type_name(std::uint32_t number) {
  const GgufTypeInfo* found = info_of(number);
  return found == nullptr ? "number " + std::to_string(number) : found->name;
}

GgufBlock gguf_block(GgufType type) {
  return info_of(static_cast<std::uint32_t>(type))->block;
}

DType dtype_of(GgufType type) {
  return type == GgufType::F16 ? DType::F16 : type == GgufType::BF16 ? DType::BF16 : DType::F32;
}

void decode_gguf_blocks(GgufType type, Bytes blocks, std::span<float> to) {
  const Decode decode = decoder_of(type);
  const GgufBlock block = gguf_block(type);
  const std::byte* from = blocks.data();
  for (std::size_t i = 0; i < to.size(); i += static_cast<std::size_t>(block.elements), from += block.bytes) {
    decode(from, to.data() + i);
  }
}

}  // namespace mformer
