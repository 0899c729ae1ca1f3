#include "cli/terminal/stages.h"

#include <algorithm>

namespace mformer::terminal {

void Stages::update(const std::string& stage, std::int64_t done, std::int64_t total, double loss, double rate) {
  if (stage != shown_) leave();
  Stage& now = stages_[stage];
  if (now.progress == nullptr || done < now.done) {
    now.progress = std::make_unique<Progress>(numbered(stage), total, options_);
  }
  now.done = done, now.total = total;
  shown_ = stage;
  now.progress->update(done, loss, rate);
}

std::string Stages::numbered(const std::string& stage) {
  const auto found = std::find(coming_.begin(), coming_.end(), stage);
  if (found != coming_.end()) {
    coming_.erase(coming_.begin(), found + 1);
    ++number_;
  }
  const std::size_t total = number_ + coming_.size();
  if (number_ == 0 || total < 2) return stage;
  return "[" + std::to_string(number_) + "/" + std::to_string(total) + "] " + stage;
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
  coming_.clear();
  number_ = 0;
}

}  // namespace mformer::terminal
