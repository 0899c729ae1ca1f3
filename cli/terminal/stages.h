#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cli/terminal/progress.h"

namespace mformer::terminal {

/// The progress of a command's stages, of which one is shown at a time. A stage may be left for another and come back,
/// as a training is for its validations: its clock goes on meanwhile. It ends when it has reached its total and another
/// begins, or when all end; under that name a new one may then begin.
class Stages {
 public:
  explicit Stages(ProgressOptions options) : options_(std::move(options)) {}

  /// The stages that are still to come, in order. Those that begin are then numbered among all: "[3/9] evaluate qa".
  /// One that is begun before those ahead of it makes these needless, and the total smaller. A stage that is not among
  /// them bears the number of the one that it interrupts. A single stage has no number.
  void plan(std::vector<std::string> coming) { coming_ = std::move(coming); }

  /// As Progress::update. A `done` that is less than before is a new stage of the same name.
  void update(const std::string& stage, std::int64_t done, std::int64_t total, double loss = Progress::unknown,
              double rate = Progress::unknown);
  /// A line of its own.
  void message(const std::string& text);
  /// Leaves the line clean: what has not reached its total says nothing more.
  void end();

 private:
  struct Stage {
    std::unique_ptr<Progress> progress;
    std::int64_t done = 0, total = 0;
  };
  void leave();
  std::string numbered(const std::string& stage);

  ProgressOptions options_;
  std::map<std::string, Stage> stages_;
  std::string shown_;  ///< A key of stages_, or empty.
  std::vector<std::string> coming_;
  std::size_t number_ = 0;  ///< Of the stage that goes on, from 1.
};

}  // namespace mformer::terminal
