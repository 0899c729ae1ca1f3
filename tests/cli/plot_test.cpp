// Pictures for files: what every one of them keeps to, whatever it shows.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <clocale>
#include <cmath>
#include <set>

#include "cli/plot/bars.h"
#include "cli/plot/heat_map.h"
#include "cli/plot/line_chart.h"
#include "cli/plot/version_chart.h"
#include "modules_registry/error.h"

namespace mformer::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

using Colour = std::array<double, 3>;

Colour linear(Rgb colour) {
  const auto of = [](unsigned char channel) {
    const double part = channel / 255.0;
    return part <= 0.04045 ? part / 12.92 : std::pow((part + 0.055) / 1.055, 2.4);
  };
  return {of(colour.red), of(colour.green), of(colour.blue)};
}

double contrast(Rgb a, Rgb b) {
  const auto light = [](Rgb colour) {
    const Colour c = linear(colour);
    return 0.2126 * c[0] + 0.7152 * c[1] + 0.0722 * c[2] + 0.05;
  };
  return std::max(light(a), light(b)) / std::min(light(a), light(b));
}

/// Machado, Oliveira and Fernandes 2009, severity 1: who lacks the cones for red, or those for green.
constexpr std::array<std::array<Colour, 3>, 3> sights = {
    {{{{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}},
     {{{0.152286, 1.052583, -0.204868}, {0.114503, 0.786281, 0.099216}, {-0.003882, -0.048116, 1.051998}}},
     {{{0.367322, 0.860646, -0.227968}, {0.280085, 0.672501, 0.047413}, {-0.011820, 0.042940, 0.968881}}}}};

/// CIE L*a*b* of how it is seen.
Colour lab(Rgb colour, const std::array<Colour, 3>& sight) {
  const Colour from = linear(colour);
  Colour seen{};
  for (std::size_t i = 0; i < 3; ++i) {
    for (std::size_t k = 0; k < 3; ++k) seen[i] += sight[i][k] * from[k];
    seen[i] = std::clamp(seen[i], 0.0, 1.0);
  }
  const auto f = [](double t) { return t > 0.008856 ? std::cbrt(t) : 7.787 * t + 16.0 / 116; };
  const double x = f((0.4124 * seen[0] + 0.3576 * seen[1] + 0.1805 * seen[2]) / 0.9505);
  const double y = f(0.2126 * seen[0] + 0.7152 * seen[1] + 0.0722 * seen[2]);
  const double z = f((0.0193 * seen[0] + 0.1192 * seen[1] + 0.9505 * seen[2]) / 1.089);
  return {116 * y - 16, 500 * (x - y), 200 * (y - z)};
}

TEST(PlotTest, SeriesAreToldApartWithRedGreenBlindnessAndStandOutFromThePage) {
  constexpr double apart =
      20;  // differences that are seen at a glance begin at about 10; 2.3 is the least that is seen
  for (const bool dark : {false, true}) {
    const PlotColours& colours = plot_colours(dark);
    for (std::size_t i = 0; i < colours.series.size(); ++i) {
      EXPECT_GE(contrast(colours.series[i], colours.page), 3.0) << dark << i;  // as WCAG asks of what is drawn
      for (std::size_t k = 0; k < i; ++k) {
        for (const auto& sight : sights) {
          const Colour a = lab(colours.series[i], sight), b = lab(colours.series[k], sight);
          EXPECT_GE(std::hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2]), apart) << dark << i << k;
        }
      }
    }
    EXPECT_GE(contrast(colours.text, colours.page), 7.0);
    EXPECT_GE(contrast(colours.soft, colours.page), 4.5);
  }
}

TEST(PlotTest, InkCanBeReadOnEveryColour) {
  for (int i = 0; i < 4096; ++i) {
    const Rgb colour{static_cast<unsigned char>((i & 15) * 17), static_cast<unsigned char>((i >> 4 & 15) * 17),
                     static_cast<unsigned char>((i >> 8) * 17)};
    EXPECT_GE(contrast(colour, ink_on(colour)), 4.5);
  }
}

TEST(PlotTest, TextsAreNeverMarkup) {
  Svg svg("<title>&\"", "a\x1b[31m\xff", false);
  svg.text(1, 2, "</text><script>alert('1')</script>&amp;\x01\xe2\x80\xae\xef\xbf\xbf", {});
  const std::string picture = svg.picture(10, 10);
  EXPECT_THAT(picture, Not(HasSubstr("<script")));
  EXPECT_THAT(picture, HasSubstr("&lt;title&gt;&amp;&quot;"));
  for (const std::string bad : {"\x1b", "\x01", "\xff", "\xe2\x80\xae", "\xef\xbf\xbf"}) {
    EXPECT_THAT(picture, Not(HasSubstr(bad)));
  }
}

TEST(PlotTest, FittedTextsAreNoWiderThanTheirRoom) {
  const std::string wide = "W\xc3\xb6rter \xe6\xbc\xa2\xe5\xad\x97 \x1b[31m und mehr " + std::string(5000, 'm');
  for (const double room : {12.0, 40.0, 100.0, 700.0}) {
    EXPECT_LE(text_width(fitted(wide, 12, room), 12), room);
    EXPECT_EQ(fitted(wide, 12, room).ends_with("…"), room > 20);  // 13.2 units wide itself
  }
  EXPECT_EQ(fitted("short", 12, 100), "short");
  EXPECT_EQ(fitted("", 12, 0), "");
}

TEST(PlotTest, TicksAreRoundAndWithinTheRange) {
  EXPECT_THAT(ticks(0.13, 0.97, 5), ElementsAre(::testing::DoubleEq(0.2), ::testing::DoubleEq(0.4),
                                                ::testing::DoubleEq(0.6), ::testing::DoubleEq(0.8)));
  EXPECT_THAT(ticks(3, 3, 5), ElementsAre(3));
  EXPECT_LE(ticks(1e17, 1e17 + 64, 5).size(), 50U);
  EXPECT_EQ(tick_text(0.1 + 0.2), "0.3");
  EXPECT_EQ(tick_text(12000), "12,000");
  EXPECT_EQ(tick_text(0), "0");
}

TEST(PlotTest, ThirtySixLinesDiffer) {
  const Svg svg("", "", false);
  std::set<std::string> looks;
  for (std::size_t i = 0; i < 36; ++i) {
    const Stroke stroke = series_stroke(svg, i);
    looks.insert(std::to_string(stroke.colour.red) + '/' + std::to_string(stroke.colour.blue) + stroke.dashes);
  }
  EXPECT_EQ(looks.size(), 36U);
}

LineChart chart_of(std::vector<PlotSeries> series) {
  return {{"Title", {"note"}}, "step", "loss (nats per token)", std::move(series), {}};
}

TEST(PlotTest, LinesOfOnePointOrOfOneValueAreDrawn) {
  for (const PlotSeries& one : {PlotSeries{"a", {{3, 2}}}, PlotSeries{"a", {{1, 2}, {5, 2}}},
                                PlotSeries{"a", {{0, 0}, {1, 1e300}}}, PlotSeries{"a", {{0, -1e308}, {1, 1e308}}}}) {
    const PlotPicture picture = draw_line_chart(chart_of({one}), false);
    EXPECT_THAT(picture.svg, HasSubstr("<polyline"));
    EXPECT_THAT(picture.svg, Not(HasSubstr("nan")));
    EXPECT_THAT(picture.svg, Not(HasSubstr("inf")));
  }
  EXPECT_THROW(draw_line_chart(chart_of({}), false), Error);
  EXPECT_THROW(draw_line_chart(chart_of({{"a", {}}}), false), Error);
}

TEST(PlotTest, NumbersDoNotFollowTheLocale) {
  const std::string before = draw_line_chart(chart_of({{"a", {{0.5, 1.25}, {1.5, 2.75}}}}), false).svg;
  for (const char* name : {"de_DE.UTF-8", "C.UTF-8"}) {
    if (std::setlocale(LC_ALL, name) == nullptr) continue;  // not on every machine
    EXPECT_EQ(draw_line_chart(chart_of({{"a", {{0.5, 1.25}, {1.5, 2.75}}}}), false).svg, before);
    std::setlocale(LC_ALL, "C");
  }
}

TEST(PlotTest, ManyHypothesesBecomeAFewAndOthers) {
  std::vector<std::string> parts;
  for (int i = 0; i < 9; ++i) parts.push_back("domain " + std::to_string(i));
  const PlotPicture picture = draw_share_bars({"Posterior", {}}, parts,
                                              {{"german", "1.5", std::vector<double>(9, 1.0 / 9)}}, "loss", "", false);
  EXPECT_THAT(picture.svg, HasSubstr(">4 others<"));
  EXPECT_THAT(picture.svg, HasSubstr(">44.4 %<"));
  EXPECT_THAT(picture.svg, Not(HasSubstr("domain 5")));
}

TEST(PlotTest, AnEdgeDoesNotPassThroughOtherVersions) {
  using Mark = terminal::GraphNode::Mark;
  // 0 merges 1 and 2; 1 comes of 3, 2 of 4; 3 and 4 of 5; 5 goes on to something that isn't drawn.
  const std::vector<VersionInChart> versions = {
      {{{1, 2}, Mark::current}, "m@3", "merge"}, {{{3}, Mark::plain}, "a@2", "train"},
      {{{4}, Mark::plain}, "b@2", "train"},      {{{5}, Mark::plain}, "a@1", "train"},
      {{{5}, Mark::left}, "b@1", "train"},       {{{99}, Mark::plain}, "r@1", "train"}};
  const PlotPicture picture = draw_version_chart({"Versions", {}}, versions, "", false);
  EXPECT_THAT(picture.svg, HasSubstr("cx=\"30\""));
  EXPECT_THAT(picture.svg, HasSubstr("cx=\"52\""));
  EXPECT_THAT(picture.svg, Not(HasSubstr("cx=\"74\"")));  // two lines of descent take two columns
}

TEST(PlotTest, CellsOfTheSameLevelHaveOneColour) {
  HeatMap map{"t", "layer", {"0", "1"}, {}, {{{0.0}, {1.0, "a"}, {std::nullopt, "-"}}, {{-1.0, "x", true}}}};
  const PlotPicture picture = draw_heat_maps({"T", {"n"}}, {map}, {"c", "0", "1", "-1", "m"}, "d", false);
  EXPECT_THAT(picture.svg, HasSubstr("fill=\"#0b3fc8\""));
  EXPECT_THAT(picture.svg, HasSubstr("fill=\"#922d08\""));
  EXPECT_THAT(picture.svg, HasSubstr(">a<"));
  EXPECT_THAT(picture.svg, HasSubstr("<desc>d</desc>"));
}

TEST(PlotTest, WideMapsGrowInsteadOfVanishing) {
  HeatMap map{"t", "layer", {"0"}, {}, {std::vector<HeatCell>(2000, HeatCell{0.5})}};
  const PlotPicture picture = draw_heat_maps({"T", {"n"}}, {map}, {"c", "0", "1"}, "d", false);
  EXPECT_GE(picture.width, 4000);
}

}  // namespace
}  // namespace mformer::cli
