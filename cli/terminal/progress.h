#pragma once

#include <cstdint>
#include <functional>
#include <iosfwd>
#include <limits>
#include <string>

#include "cli/terminal/style.h"

namespace mformer::terminal {

/// How progress is shown. `progress_options(quiet)` fills it for stderr.
struct ProgressOptions {
  Style style;                  ///< of `out`
  bool quiet = false;           ///< show nothing at all
  std::string unit = "tokens";  ///< of the rate: "1.31 k tokens/s"
  std::ostream* out = nullptr;  ///< not owned, outlives the Progress; null = std::cerr
  std::function<double()> now;  ///< seconds of a steady clock; empty = the real one
};

ProgressOptions progress_options(bool quiet, std::string unit = "tokens");

/// Progress of one long step, on stderr. On a terminal a bar is redrawn in place, at most 10 times a second:
///
///     train   [=========>          ]  45 %  1.31 k tokens/s  loss 3.2145  1 min 20 s left
///
/// Elsewhere plain lines: every further 10 %, and at most one each 10 seconds besides. A stage that takes less than a
/// second leaves no line, here or there.
/// Not thread-safe: one thread reports. The destructor erases an unfinished bar, so an error that unwinds through it
/// is printed on a clean line. Nothing here throws on a failed write: progress must not stop the work.
class Progress {
 public:
  static constexpr double unknown = std::numeric_limits<double>::quiet_NaN();

  /// `total`: how much `done` will be at the end; 0 = not known, then there is no bar, percentage or time left.
  Progress(std::string label, std::int64_t total, ProgressOptions options);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// `done`: in the unit of `total`. A first call with done > 0 (a resumed run) does not count as speed of this run.
  /// `loss` in nats, `rate` per second in the unit of the options; `unknown` leaves them out.
  void update(std::int64_t done, double loss = unknown, double rate = unknown);

  /// A line of its own above the bar: an evaluation, a warning. Not shown when quiet.
  void message(const std::string& text);

  /// Takes the bar away while something else is shown; the next update brings it back.
  void hide() { erase(); }

  /// Replaces the bar by a last line with the time up to the last update. Later calls of any kind do nothing.
  void finish();

 private:
  double now() const;
  std::string describe(double time) const;
  std::string bar_line(double time) const;
  bool plain_line_is_due(double time);
  void redraw(double time);
  void erase();

  std::string label_;
  std::int64_t total_;
  ProgressOptions options_;
  std::int64_t done_ = 0;
  double loss_ = unknown;
  double rate_ = unknown;
  double start_time_;
  double last_update_;
  std::int64_t start_done_ = -1;  // -1 before the first update
  double last_shown_ = -std::numeric_limits<double>::infinity();
  std::int64_t last_tenth_ = -1;
  bool bar_visible_ = false;
  bool finished_ = false;
};

}  // namespace mformer::terminal
