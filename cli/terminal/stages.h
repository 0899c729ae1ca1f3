#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "cli/terminal/progress.h"

namespace mformer::terminal {

/// The progress of a command's stages, of which one is shown at a time. A stage may be left for another and come back,
/// as a training is for its validations: its clock goes on meanwhile. It ends when it has reached its total and another
/// begins, or when all end; under that name a new one may then begin.
class Stages {
 public:
  explicit Stages(ProgressOptions options) : options_(std::move(options)) {}

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

  ProgressOptions options_;
  std::map<std::string, Stage> stages_;
  std::string shown_;  ///< A key of stages_, or empty.
};

}  // namespace mformer::terminal
