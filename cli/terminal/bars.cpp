#include "cli/terminal/bars.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "cli/terminal/text.h"

namespace mformer::terminal {
namespace {

constexpr int widest_bar = 40;
constexpr int narrowest_bar = 8;

std::string blocks(int eighths) {
  constexpr std::array<const char*, 8> partial = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  std::string bar;
  for (int i = 0; i < eighths / 8; ++i) bar += "█";
  return bar + partial[static_cast<size_t>(eighths % 8)];
}

}  // namespace

std::string draw_bar(double fraction, int width, const Style& style) {
  const double filled = std::isnan(fraction) ? 0 : std::clamp(fraction, 0.0, 1.0);
  const int steps = width * (style.unicode ? 8 : 1);
  int count = static_cast<int>(std::lround(filled * steps));
  if (filled > 0) count = std::max(count, 1);
  return pad_right(style.unicode ? blocks(count) : std::string(static_cast<size_t>(count), '#'), width);
}

std::string draw_bars(const std::vector<Bar>& bars, const Style& style) {
  int label_width = 0;
  int text_width = 0;
  double largest = 0;
  for (const Bar& bar : bars) {
    label_width = std::max(label_width, display_width(printable(bar.label)));
    text_width = std::max(text_width, display_width(bar.text));
    if (std::isfinite(bar.value)) largest = std::max(largest, bar.value);
  }
  label_width = std::min(label_width, std::max(style.width - text_width - narrowest_bar - 2 * column_gap, 1));
  const int width = std::clamp(style.width - label_width - text_width - 2 * column_gap, 1, widest_bar);
  std::string lines;
  for (const Bar& bar : bars) {
    const std::string label = shorten(printable(bar.label), label_width, style.unicode);
    lines += pad_right(label, label_width) + std::string(column_gap, ' ');
    lines += draw_bar(largest > 0 ? bar.value / largest : 0, width, style) + std::string(column_gap, ' ');
    lines += pad_left(bar.text, text_width) + '\n';
  }
  return lines;
}

}  // namespace mformer::terminal
