#include "cli/validators.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace mformer::cli {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

std::string answer(const CLI::Validator& validator, std::string text) {
  return validator(text);
}

TEST(ValidatorsTest, AFractionIsMoreThanZeroAndAtMostOne) {
  for (const char* good : {"0.3", "1", "1.0", "1e-3", ".5"}) EXPECT_THAT(answer(fraction(), good), IsEmpty()) << good;
  for (const char* bad : {"0", "1.5", "nan", "inf", "-0.1", "", "x", "0.3x", " 0.3", "0x1p-1", "1e-999"}) {
    EXPECT_THAT(answer(fraction(), bad), HasSubstr("is not a fraction (more than 0, at most 1)\nhint: ")) << bad;
  }
}

TEST(ValidatorsTest, APercentageIsAnsweredWithItsFraction) {
  EXPECT_THAT(answer(fraction(), "30"), HasSubstr("hint: for 30 % write 0.3"));
  EXPECT_THAT(answer(fraction(), "12.5%"), HasSubstr("hint: for 12.5 % write 0.125"));
  EXPECT_THAT(answer(fraction(), "100"), HasSubstr("hint: for 100 % write 1"));
  EXPECT_THAT(answer(fraction(), "nan"), HasSubstr("hint: for 30 % write 0.3"));
}

TEST(ValidatorsTest, AShareMayBeNothing) {
  EXPECT_THAT(answer(share(), "0"), IsEmpty());
  EXPECT_THAT(answer(share(), "1.01"), HasSubstr("is not a share"));
}

TEST(ValidatorsTest, NumbersAreFiniteAndInRange) {
  EXPECT_THAT(answer(positive_number(), "3e-4"), IsEmpty());
  EXPECT_THAT(answer(positive_number(), "0"), HasSubstr("above 0"));
  EXPECT_THAT(answer(non_negative_number(), "0"), IsEmpty());
  EXPECT_THAT(answer(non_negative_number(), "inf"), HasSubstr("at least 0"));
  EXPECT_THAT(answer(non_negative_number(), "-1"), HasSubstr("at least 0"));
}

TEST(ValidatorsTest, IntegersAreWholeAndDecimal) {
  EXPECT_THAT(answer(positive_integer(), "9223372036854775807"), IsEmpty());
  for (const char* bad : {"0", "-1", "1.0", "1e3", "0x10", "", "9223372036854775808"}) {
    EXPECT_THAT(answer(positive_integer(), bad), HasSubstr("whole number of at least 1")) << bad;
  }
  EXPECT_THAT(answer(non_negative_integer(), "0"), IsEmpty());
}

TEST(ValidatorsTest, LeadingZerosAreRefusedBecauseTheyWouldBeReadAsOctal) {
  EXPECT_THAT(answer(positive_integer(), "010"), HasSubstr("whole number"));
  EXPECT_THAT(answer(seed_number(), "010"), HasSubstr("whole number"));
  EXPECT_THAT(answer(seed_number(), "0"), IsEmpty());
}

TEST(ValidatorsTest, ASeedIsAny64BitNumber) {
  EXPECT_THAT(answer(seed_number(), "18446744073709551615"), IsEmpty());
  for (const char* bad : {"-1", "18446744073709551616", "x"}) {
    EXPECT_THAT(answer(seed_number(), bad), HasSubstr("whole number")) << bad;
  }
}

TEST(ValidatorsTest, ADeviceIsCpuOrCuda) {
  for (const char* good : {"cpu", "cuda", "cuda:0", "cuda:7"}) EXPECT_THAT(answer(device_name(), good), IsEmpty());
  for (const char* bad : {"", "gpu", "cuda:", "cuda:-1", "cuda:x", "cuda:999", "CPU", "cpu:0"}) {
    EXPECT_THAT(answer(device_name(), bad), HasSubstr("is not a device\nhint: choose cpu")) << bad;
  }
}

TEST(ValidatorsTest, AnswersCannotControlTheTerminal) {
  EXPECT_THAT(answer(device_name(), "\x1b[2J"), HasSubstr("'\\x1b[2J'"));
}

}  // namespace
}  // namespace mformer::cli
