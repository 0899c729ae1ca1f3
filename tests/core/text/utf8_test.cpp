#include "core/text/utf8.h"

#include <gtest/gtest.h>

namespace mformer {
namespace {

TEST(Utf8Test, EveryCharacterComesBackFromItsBytes) {
  for (char32_t character = 0; character < 0x110000; ++character) {
    if (character >= 0xD800 && character < 0xE000) continue;
    std::string bytes;
    utf8_append(bytes, character);
    ASSERT_EQ(utf8_length(bytes), bytes.size()) << std::hex << static_cast<uint32_t>(character);
    ASSERT_EQ(utf8_decode(bytes), character);
  }
}

TEST(Utf8Test, IllFormedBytesAreNoCharacter) {
  for (const std::string_view bytes :
       {"\x80", "\xC0\xAF", "\xC1\xBF", "\xE0\x80\xAF", "\xED\xA0\x80", "\xF0\x80\x80\x80", "\xF4\x90\x80\x80",
        "\xF5\x80\x80\x80", "\xFF", "\xE2\x82", "\xE2", ""}) {
    EXPECT_EQ(utf8_length(bytes), 0U) << ::testing::PrintToString(bytes);
  }
}

TEST(Utf8Test, TheValidPrefixEndsAtTheFirstBrokenByte) {
  EXPECT_EQ(utf8_valid_prefix("0123456789abcdef\xE2\x82\xAC!"), 20U);
  EXPECT_EQ(utf8_valid_prefix("0123456789abcdef\xE2\x82!"), 16U);
  EXPECT_EQ(utf8_valid_prefix(""), 0U);
}

TEST(Utf8Test, EachMaximalBrokenPartBecomesOneReplacementCharacter) {
  const std::string mark = "\xEF\xBF\xBD";
  EXPECT_EQ(replace_invalid_utf8("a\xE2\x82z"), "a" + mark + "z");      // a character cut short
  EXPECT_EQ(replace_invalid_utf8("\xED\xA0\x80"), mark + mark + mark);  // a surrogate has no good beginning
  EXPECT_EQ(replace_invalid_utf8("\xF0\x9F\x98"), mark);                // cut short by the end
  EXPECT_EQ(replace_invalid_utf8("\xC0\x80\xFF"), mark + mark + mark);
  EXPECT_EQ(replace_invalid_utf8("gr\xC3\xBC\xC3\x9F"), "gr\xC3\xBC\xC3\x9F");
}

}  // namespace
}  // namespace mformer
