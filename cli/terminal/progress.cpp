#include "cli/terminal/progress.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <iostream>
#include <utility>

#include "cli/terminal/format.h"
#include "cli/terminal/text.h"

namespace mformer::terminal {
namespace {

constexpr double redraw_seconds = 0.1;
constexpr double plain_line_seconds = 10;
constexpr double silent_seconds = 1;  // at first, where lines are no bar; what is over by then gets no line
constexpr int widest_progress = 30;
constexpr int narrowest_progress = 8;

double steady_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

std::string bar_of(double fraction, int width, bool unicode) {
  const int filled = static_cast<int>(fraction * width);
  std::string bar = "[";
  for (int i = 0; i < width; ++i) {
    const bool head = i == filled;
    if (unicode) {
      bar += i < filled ? "━" : " ";
    } else {
      bar += i < filled ? '=' : head ? '>' : ' ';
    }
  }
  return bar + ']';
}

}  // namespace

ProgressOptions progress_options(bool quiet, std::string unit) {
  ProgressOptions options;
  options.style = detect_style(2);
  options.quiet = quiet;
  options.unit = std::move(unit);
  return options;
}

Progress::Progress(std::string label, std::int64_t total, ProgressOptions options)
    : label_(printable(label)), total_(total), options_(std::move(options)) {
  if (options_.out == nullptr) options_.out = &std::cerr;
  start_time_ = last_update_ = now();
}

Progress::~Progress() {
  erase();
}

double Progress::now() const {
  return options_.now ? options_.now() : steady_seconds();
}

void Progress::update(std::int64_t done, double loss, double rate) {
  if (options_.quiet || finished_) return;
  done_ = done;
  if (start_done_ < 0) start_done_ = done;
  if (!std::isnan(loss)) loss_ = loss;
  if (!std::isnan(rate)) rate_ = rate;
  const double time = last_update_ = now();
  if (options_.style.terminal) {
    if (time - last_shown_ >= redraw_seconds) redraw(time);
  } else if (plain_line_is_due(time)) {
    *options_.out << describe(time) << std::endl;
    last_shown_ = time;
  }
}

void Progress::message(const std::string& text) {
  if (options_.quiet || finished_) return;
  const bool was_visible = bar_visible_;
  erase();
  *options_.out << printable_lines(text) << std::endl;
  if (was_visible) redraw(now());
}

void Progress::finish() {
  if (options_.quiet || finished_) return;
  erase();
  finished_ = true;
  const double seconds = last_update_ - start_time_;  // what came after it was other work
  if (seconds < silent_seconds) return;
  std::string line = label_ + ": done in " + format_duration(seconds);
  if (!std::isnan(rate_)) line += ", " + format_rate(rate_, options_.unit);
  if (!std::isnan(loss_)) line += ", loss " + format_fixed(loss_);
  *options_.out << line << std::endl;
}

bool Progress::plain_line_is_due(double time) {
  if (time - start_time_ < silent_seconds) return false;
  const std::int64_t tenth =
      total_ > 0 ? static_cast<std::int64_t>(10.0 * static_cast<double>(done_) / static_cast<double>(total_)) : 0;
  const bool next_tenth = tenth > last_tenth_;
  last_tenth_ = std::max(tenth, last_tenth_);
  return next_tenth || time - last_shown_ >= plain_line_seconds;
}

// Percentage, rate, loss and time left: those that are known.
std::string Progress::describe(double time) const {
  std::string text;
  const auto add = [&text](const std::string& part) { text += (text.empty() ? "" : "  ") + part; };
  if (!options_.style.terminal) add(label_ + ':');
  if (total_ > 0) {
    add(format_percent(std::min(1.0, static_cast<double>(done_) / static_cast<double>(total_)), 0));
  } else {
    add(format_count(done_));
  }
  if (!std::isnan(rate_)) add(format_rate(rate_, options_.unit));
  if (!std::isnan(loss_)) add("loss " + format_fixed(loss_));
  if (total_ > done_ && done_ > start_done_) {
    const double seconds_each = (time - start_time_) / static_cast<double>(done_ - start_done_);
    add(format_duration(seconds_each * static_cast<double>(total_ - done_)) + " left");
  }
  return text;
}

std::string Progress::bar_line(double time) const {
  const Style& style = options_.style;
  const std::string facts = describe(time);
  const int room = style.width - 1 - display_width(label_) - display_width(facts) - 6;  // brackets and two gaps of 2
  std::string line = label_ + "  ";
  if (total_ > 0 && room >= narrowest_progress) {
    const double fraction = std::clamp(static_cast<double>(done_) / static_cast<double>(total_), 0.0, 1.0);
    line += bar_of(fraction, std::min(room, widest_progress), style.unicode) + "  ";
  }
  return shorten(line + facts, style.width - 1, style.unicode);  // the last column would wrap on some terminals
}

void Progress::redraw(double time) {
  *options_.out << '\r' + bar_line(time) + "\x1b[K" << std::flush;  // one write: stderr is not buffered
  bar_visible_ = true;
  last_shown_ = time;
}

void Progress::erase() {
  if (!bar_visible_) return;
  *options_.out << "\r\x1b[K" << std::flush;
  bar_visible_ = false;
}

}  // namespace mformer::terminal
