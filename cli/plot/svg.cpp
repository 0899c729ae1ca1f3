#include "cli/plot/svg.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

#include "cli/terminal/text.h"

namespace mformer::cli {
namespace {

/// In hundredths of the size, of the characters from space to tilde, rounded up.
constexpr std::array<unsigned char, 95> plain_widths = {
    32, 41, 46, 84, 64, 96, 78, 28, 40,  40, 50, 84, 32, 37, 32, 34, 64, 64, 64, 64, 64, 64, 64, 64,
    64, 64, 34, 34, 84, 84, 84, 54, 100, 69, 69, 70, 78, 64, 58, 78, 76, 30, 30, 66, 56, 87, 75, 79,
    61, 79, 70, 64, 62, 74, 69, 99, 69,  62, 69, 40, 34, 40, 84, 50, 50, 62, 64, 55, 64, 62, 36, 64,
    64, 28, 28, 58, 28, 98, 64, 62, 64,  64, 42, 53, 40, 64, 60, 82, 60, 60, 53, 64, 34, 64, 84};
constexpr double bold_is_wider = 1.2;
constexpr double widest_letter = 1.1;  // of those beyond ASCII that take one column of a terminal
constexpr double wide_letter = 1.05;   // of those that take two

std::string number(double value) {
  char text[32];
  // Whole hundredths, so that no locale and no exponent gets in.
  const long long hundredths = std::llround(value * 100);
  const long long size = std::llabs(hundredths);
  std::snprintf(text, sizeof text, "%s%lld.%02lld", hundredths < 0 ? "-" : "", size / 100, size % 100);
  std::string shown = text;
  while (shown.back() == '0') shown.pop_back();
  if (shown.back() == '.') shown.pop_back();
  return shown;
}

std::string hex(Rgb colour) {
  char text[8];
  std::snprintf(text, sizeof text, "#%02x%02x%02x", colour.red, colour.green, colour.blue);
  return text;
}

/// What XML can't take as it is. U+FFFE and U+FFFF are no characters of it at all.
std::string escaped(std::string_view text) {
  std::string safe;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text.substr(i, 3) == "\xef\xbf\xbe" || text.substr(i, 3) == "\xef\xbf\xbf") {
      safe += text[i + 2] == '\xbe' ? "\\ufffe" : "\\uffff";
      i += 2;
      continue;
    }
    switch (text[i]) {
      case '<':
        safe += "&lt;";
        break;
      case '>':
        safe += "&gt;";
        break;
      case '&':
        safe += "&amp;";
        break;
      case '"':
        safe += "&quot;";
        break;
      default:
        safe += text[i];
    }
  }
  return safe;
}

std::string stroke_text(const Stroke& stroke) {
  std::string text = " stroke=\"" + hex(stroke.colour) + "\" stroke-width=\"" + number(stroke.width) + '"';
  if (!stroke.dashes.empty()) text += " stroke-dasharray=\"" + stroke.dashes + '"';
  return text;
}

/// Of one character, given by its bytes.
double letter_width(std::string_view letter, bool bold) {
  const auto byte = static_cast<unsigned char>(letter.front());
  if (byte >= ' ' && byte <= '~') return plain_widths[byte - ' '] * 0.01 * (bold ? bold_is_wider : 1);
  const int columns = terminal::display_width(letter);
  if (columns == 0) return 0;
  return (columns == 1 ? widest_letter : wide_letter) * (bold ? bold_is_wider : 1);
}

std::size_t letter_bytes(std::string_view text, std::size_t at) {
  std::size_t end = at + 1;
  while (end < text.size() && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) ++end;
  return end - at;
}

double luminance(Rgb colour) {
  const auto linear = [](unsigned char channel) {
    const double part = channel / 255.0;
    return part <= 0.04045 ? part / 12.92 : std::pow((part + 0.055) / 1.055, 2.4);
  };
  return 0.2126 * linear(colour.red) + 0.7152 * linear(colour.green) + 0.0722 * linear(colour.blue);
}

}  // namespace

const char* const svg_first_line = R"(<?xml version="1.0" encoding="UTF-8"?><!-- mformer plot -->)";

const PlotColours& plot_colours(bool dark) {
  static const PlotColours light_ones = {
      {255, 255, 255},
      {28, 27, 34},
      {85, 83, 95},
      {138, 135, 148},
      {221, 219, 227},
      {241, 239, 246},
      {{11, 63, 200}, {146, 45, 8}, {5, 164, 112}, {193, 105, 185}, {42, 44, 54}, {179, 137, 4}}};
  static const PlotColours dark_ones = {
      {21, 20, 26},
      {236, 234, 242},
      {183, 180, 195},
      {133, 129, 143},
      {54, 51, 63},
      {38, 35, 47},
      {{56, 122, 250}, {243, 86, 18}, {8, 186, 131}, {198, 117, 198}, {241, 234, 249}, {254, 246, 17}}};
  return dark ? dark_ones : light_ones;
}

Rgb mixed(Rgb from, Rgb to, double part) {
  const auto channel = [part](unsigned char a, unsigned char b) {
    return static_cast<unsigned char>(std::lround(a + std::clamp(part, 0.0, 1.0) * (b - a)));
  };
  return {channel(from.red, to.red), channel(from.green, to.green), channel(from.blue, to.blue)};
}

Rgb ink_on(Rgb background) {
  return luminance(background) > 0.179 ? Rgb{0, 0, 0} : Rgb{255, 255, 255};
}

const std::string& series_dashes(std::size_t n) {
  static const std::array<std::string, 6> dashes = {"", "6 3", "2 3", "8 3 2 3", "1 2", "12 4"};
  return dashes[n % dashes.size()];
}

double text_width(std::string_view text, double size, bool bold) {
  double width = 0;
  for (std::size_t i = 0; i < text.size(); i += letter_bytes(text, i)) {
    width += letter_width(text.substr(i, letter_bytes(text, i)), bold);
  }
  return width * size;
}

std::string fitted(std::string_view text, double size, double width, bool bold) {
  // Of a text without end only what could be shown is looked at: no letter has more than a few bytes.
  const std::string shown = terminal::printable(text.substr(0, 4096));
  if (text_width(shown, size, bold) <= width && text.size() <= 4096) return shown;
  std::string beginning;
  double left = width - text_width("…", size, bold);
  if (left < 0) return "";
  for (std::size_t i = 0; i < shown.size(); i += letter_bytes(shown, i)) {
    const std::string_view letter = std::string_view(shown).substr(i, letter_bytes(shown, i));
    left -= letter_width(letter, bold) * size;
    if (left < 0) break;
    beginning += letter;
  }
  terminal::trim_right(beginning);
  return beginning + "…";
}

Svg::Svg(std::string title, std::string description, bool dark)
    : title_(std::move(title)), description_(std::move(description)), colours_(plot_colours(dark)) {}

void Svg::line(double x0, double y0, double x1, double y1, const Stroke& stroke) {
  body_ += "<line x1=\"" + number(x0) + "\" y1=\"" + number(y0) + "\" x2=\"" + number(x1) + "\" y2=\"" + number(y1) +
           '"' + stroke_text(stroke) + "/>\n";
}

void Svg::polyline(const std::vector<std::pair<double, double>>& points, const Stroke& stroke) {
  if (points.empty()) return;
  body_ += "<polyline fill=\"none\" stroke-linejoin=\"round\"" + stroke_text(stroke) + " points=\"";
  for (const auto& [x, y] : points) body_ += number(x) + ',' + number(y) + ' ';
  body_.back() = '"';
  body_ += "/>\n";
}

void Svg::bend(double x0, double y0, double x1, double y1, const Stroke& stroke) {
  const std::string middle = number((y0 + y1) / 2);
  body_ += "<path fill=\"none\"" + stroke_text(stroke) + " d=\"M" + number(x0) + ' ' + number(y0) + 'C' + number(x0) +
           ' ' + middle + ' ' + number(x1) + ' ' + middle + ' ' + number(x1) + ' ' + number(y1) + "\"/>\n";
}

void Svg::rectangle(double x, double y, double width, double height, Rgb fill, const std::optional<Stroke>& edge) {
  body_ += "<rect x=\"" + number(x) + "\" y=\"" + number(y) + "\" width=\"" + number(width) + "\" height=\"" +
           number(height) + "\" fill=\"" + hex(fill) + '"' + (edge ? stroke_text(*edge) : "") + "/>\n";
}

void Svg::circle(double x, double y, double radius, Rgb fill, const std::optional<Stroke>& edge) {
  body_ += "<circle cx=\"" + number(x) + "\" cy=\"" + number(y) + "\" r=\"" + number(radius) + "\" fill=\"" +
           hex(fill) + '"' + (edge ? stroke_text(*edge) : "") + "/>\n";
}

void Svg::mark(double x, double y, std::size_t shape, Rgb fill) {
  constexpr double r = 4;
  using Corners = std::vector<std::pair<double, double>>;
  static const std::array<Corners, 6> shapes = {Corners{},
                                                Corners{{-1, -1}, {1, -1}, {1, 1}, {-1, 1}},
                                                Corners{{0, -1.25}, {1.2, 0.9}, {-1.2, 0.9}},
                                                Corners{{0, -1.35}, {1.35, 0}, {0, 1.35}, {-1.35, 0}},
                                                Corners{{-1.2, -0.9}, {1.2, -0.9}, {0, 1.25}},
                                                Corners{{-1.4, -0.45}, {1.4, -0.45}, {1.4, 0.45}, {-1.4, 0.45}}};
  const Corners& corners = shapes[shape % shapes.size()];
  if (corners.empty()) return circle(x, y, r, fill);
  body_ += "<polygon fill=\"" + hex(fill) + "\" points=\"";
  for (const auto& [dx, dy] : corners) body_ += number(x + r * dx) + ',' + number(y + r * dy) + ' ';
  body_.back() = '"';
  body_ += "/>\n";
}

void Svg::text(double x, double y, std::string_view text, const TextLook& look) {
  const char* const anchor = look.anchor == Anchor::start ? "" : look.anchor == Anchor::middle ? "middle" : "end";
  body_ += "<text x=\"" + number(x) + "\" y=\"" + number(y) + "\" font-size=\"" + number(look.size) + "\" fill=\"" +
           hex(look.colour) + '"';
  if (*anchor != '\0') body_ += std::string(" text-anchor=\"") + anchor + '"';
  if (look.bold) body_ += " font-weight=\"bold\"";
  if (look.upwards) body_ += " transform=\"rotate(-90 " + number(x) + ' ' + number(y) + ")\"";
  body_ += '>' + escaped(terminal::printable(text)) + "</text>\n";
}

std::string Svg::picture(double width, double height) const {
  const std::string w = number(std::ceil(width)), h = number(std::ceil(height));
  return std::string(svg_first_line) + "\n<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"" + w + "\" height=\"" + h +
         "\" viewBox=\"0 0 " + w + ' ' + h +
         "\" role=\"img\" font-family=\"Helvetica, Arial, Liberation Sans, DejaVu Sans, sans-serif\">\n<title>" +
         escaped(terminal::printable(title_)) + "</title>\n<desc>" + escaped(terminal::printable(description_)) +
         "</desc>\n<rect width=\"" + w + "\" height=\"" + h + "\" fill=\"" + hex(colours_.page) + "\"/>\n" + body_ +
         "</svg>\n";
}

}  // namespace mformer::cli
