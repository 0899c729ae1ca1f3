#include "cli/terminal/format.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace mformer::terminal {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();
constexpr double infinity = std::numeric_limits<double>::infinity();

TEST(FormatTest, CountsHaveThousandsSeparators) {
  EXPECT_EQ(format_count(0), "0");
  EXPECT_EQ(format_count(999), "999");
  EXPECT_EQ(format_count(1000), "1,000");
  EXPECT_EQ(format_count(1234567), "1,234,567");
  EXPECT_EQ(format_count(-999), "-999");
  EXPECT_EQ(format_count(-123456), "-123,456");
  EXPECT_EQ(format_count(std::numeric_limits<std::int64_t>::min()), "-9,223,372,036,854,775,808");
}

TEST(FormatTest, SiKeepsThreeDigits) {
  EXPECT_EQ(format_si(0), "0");
  EXPECT_EQ(format_si(0.5), "0.5");
  EXPECT_EQ(format_si(950), "950");
  EXPECT_EQ(format_si(1234567), "1.23 M");
  EXPECT_EQ(format_si(68e6), "68 M");
  EXPECT_EQ(format_si(-1500), "-1.5 k");
  EXPECT_EQ(format_si(5e18), "5000000 T");
}

TEST(FormatTest, SiNeverShowsAThousandOfAUnit) {
  EXPECT_EQ(format_si(999.4), "999");
  EXPECT_EQ(format_si(999.6), "1 k");
  EXPECT_EQ(format_si(999999), "1 M");
}

TEST(FormatTest, BytesUseDecimalUnits) {
  EXPECT_EQ(format_bytes(0), "0 B");
  EXPECT_EQ(format_bytes(999), "999 B");
  EXPECT_EQ(format_bytes(1000), "1.0 kB");
  EXPECT_EQ(format_bytes(3400000), "3.4 MB");
  EXPECT_EQ(format_bytes(544000000), "544 MB");
  EXPECT_EQ(format_bytes(999999), "1.0 MB");
}

TEST(FormatTest, DifferencesShowTheirSign) {
  EXPECT_EQ(format_signed(0.0123), "+0.0123");
  EXPECT_EQ(format_signed(-0.5), "-0.5000");
  EXPECT_EQ(format_signed(1.5, 1), "+1.5");
}

TEST(FormatTest, WhatRoundsToZeroHasNoMinus) {
  EXPECT_EQ(format_signed(-0.00001), "+0.0000");
  EXPECT_EQ(format_signed(-0.0), "+0.0000");
  EXPECT_EQ(format_fixed(-0.00001), "0.0000");
  EXPECT_EQ(format_percent(-0.0001), "0.0 %");
  EXPECT_EQ(format_percent_change(-0.0002), "+0.0 %");
  EXPECT_EQ(format_percent_change(-0.0), "+0.0 %");
}

TEST(FormatTest, FractionsBecomePercentages) {
  EXPECT_EQ(format_percent(0.1234), "12.3 %");
  EXPECT_EQ(format_percent_change(0.1234), "+12.3 %");
  EXPECT_EQ(format_percent_change(-0.1236), "-12.4 %");
  EXPECT_EQ(format_percent(1, 0), "100 %");
}

TEST(FormatTest, DurationsUseTwoUnits) {
  EXPECT_EQ(format_duration(0), "0 s");
  EXPECT_EQ(format_duration(0.034), "34 ms");
  EXPECT_EQ(format_duration(7.25), "7.2 s");
  EXPECT_EQ(format_duration(59.4), "59 s");
  EXPECT_EQ(format_duration(60), "1 min");
  EXPECT_EQ(format_duration(80), "1 min 20 s");
  EXPECT_EQ(format_duration(7500), "2 h 5 min");
  EXPECT_EQ(format_duration(200000), "2 d 8 h");
}

TEST(FormatTest, DurationsNeverShowSixtyOfAUnit) {
  EXPECT_EQ(format_duration(59.6), "1 min");
  EXPECT_EQ(format_duration(3599.7), "1 h");
  EXPECT_EQ(format_duration(86399), "1 d");
}

TEST(FormatTest, RatesNameTheirUnit) {
  EXPECT_EQ(format_rate(1310, "tokens"), "1.31 k tokens/s");
  EXPECT_EQ(format_rate(12, "documents"), "12 documents/s");
}

TEST(FormatTest, NumbersThatAreNotFiniteAreNotAvailable) {
  for (const double value : {nan, infinity, -infinity}) {
    EXPECT_EQ(format_si(value), "n/a");
    EXPECT_EQ(format_fixed(value), "n/a");
    EXPECT_EQ(format_signed(value), "n/a");
    EXPECT_EQ(format_percent(value), "n/a");
    EXPECT_EQ(format_percent_change(value), "n/a");
    EXPECT_EQ(format_duration(value), "n/a");
    EXPECT_EQ(format_rate(value, "tokens"), "n/a");
  }
}

TEST(FormatAtMost, IsNeverBelowWhatADifferenceBelowItRoundsTo) {
  EXPECT_EQ(format_at_most(0.01361), "+0.0137");
  EXPECT_EQ(format_at_most(0.0137), "+0.0137");
  for (int i = 0; i < 10000; ++i) {
    const double bound = i * 1.37e-7;
    EXPECT_GE(std::stod(format_at_most(bound)), std::stod(format_signed(bound - 1e-12))) << bound;
  }
}

}  // namespace
}  // namespace mformer::terminal
