#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/formats/gguf_types.h"
#include "core/formats/half_float.h"
#include "modules_registry/error.h"

namespace mformer {
namespace {

void put_16(std::byte* to, std::uint16_t value) {
  std::memcpy(to, &value, sizeof value);
}

/// Number i in the low bits of byte i, number i + 16 in the high ones.
void put_nibbles(std::byte* to, const int (&codes)[32]) {
  for (int i = 0; i < 16; ++i) to[i] = static_cast<std::byte>(codes[i] | codes[i + 16] << 4);
}

float inverse(float scale) {
  return scale == 0 ? 0 : 1 / scale;
}

/// 0 to 15; what is no number becomes 0.
int four_bits(float code) {
  return static_cast<int>(std::clamp(std::isnan(code) ? 0.0F : code, 0.0F, 15.0F));
}

void encode_f32(const float* from, std::byte* to) {
  std::memcpy(to, from, sizeof *from);
}

void encode_f16(const float* from, std::byte* to) {
  put_16(to, float_to_half(*from));
}

void encode_bf16(const float* from, std::byte* to) {
  put_16(to, float_to_bfloat16(*from));
}

void encode_q8_0(const float* from, std::byte* to) {
  float greatest = 0;
  for (int i = 0; i < 32; ++i) greatest = std::max(greatest, std::abs(from[i]));
  const float scale = greatest / 127, factor = inverse(scale);
  put_16(to, float_to_half(scale));
  for (int i = 0; i < 32; ++i) {
    const float code = std::round(from[i] * factor);
    to[2 + i] = static_cast<std::byte>(static_cast<int>(std::clamp(std::isnan(code) ? 0.0F : code, -127.0F, 127.0F)));
  }
}

void encode_q4_0(const float* from, std::byte* to) {
  float furthest = 0;
  for (int i = 0; i < 32; ++i) {
    if (std::abs(from[i]) > std::abs(furthest)) furthest = from[i];
  }
  const float scale = furthest / -8, factor = inverse(scale);
  put_16(to, float_to_half(scale));
  int codes[32];
  for (int i = 0; i < 32; ++i) codes[i] = four_bits(from[i] * factor + 8.5F);
  put_nibbles(to + 2, codes);
}

void encode_q4_1(const float* from, std::byte* to) {
  const auto [least, greatest] = std::minmax_element(from, from + 32);
  const float scale = (*greatest - *least) / 15, factor = inverse(scale);
  put_16(to, float_to_half(scale));
  put_16(to + 2, float_to_half(*least));
  int codes[32];
  for (int i = 0; i < 32; ++i) codes[i] = four_bits((from[i] - *least) * factor + 0.5F);
  put_nibbles(to + 4, codes);
}

using Encode = void (*)(const float* from, std::byte* to);

Encode encoder_of(GgufType type) {
  switch (type) {
    case GgufType::F32:
      return encode_f32;
    case GgufType::F16:
      return encode_f16;
    case GgufType::BF16:
      return encode_bf16;
    case GgufType::Q8_0:
      return encode_q8_0;
    case GgufType::Q4_0:
      return encode_q4_0;
    case GgufType::Q4_1:
      return encode_q4_1;
    default:
      throw Error("GGUF type " + gguf_type_name(type) + " is read and not written");
  }
}

}  // namespace

void encode_gguf_blocks(GgufType type, std::span<const float> numbers, std::span<std::byte> to) {
  const Encode encode = encoder_of(type);
  const GgufBlock block = gguf_block(type);
  std::byte* at = to.data();
  for (std::size_t i = 0; i < numbers.size(); i += static_cast<std::size_t>(block.elements), at += block.bytes) {
    encode(numbers.data() + i, at);
  }
}

}  // namespace mformer
