#include "cli/terminal/stages.h"

namespace mformer::terminal {

void Stages::update(const std::string& stage, std::int64_t done, std::int64_t total, double loss, double rate) {
  if (stage != shown_) leave();
  Stage& now = stages_[stage];
  if (now.progress == nullptr || done < now.done) now.progress = std::make_unique<Progress>(stage, total, options_);
  now.done = done, now.total = total;
  shown_ = stage;
  now.progress->update(done, loss, rate);
}

void Stages::message(const std::string& text) {
  if (!shown_.empty()) return stages_.at(shown_).progress->message(text);
  Progress("", 0, options_).message(text);
}

void Stages::leave() {
  if (shown_.empty()) return;
  Stage& left = stages_.at(shown_);
  if (left.done >= left.total) {
    left.progress->finish();
    stages_.erase(shown_);
  } else {
    left.progress->hide();
  }
  shown_.clear();
}

void Stages::end() {
  stages_.clear();  // their destructors erase what is shown
  shown_.clear();
}

}  // namespace mformer::terminal
