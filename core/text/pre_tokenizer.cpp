#include "core/text/pre_tokenizer.h"

#include <utility>

namespace mformer {

void PreTokenizer::add_prefix_space() {
  steps_.push_back({Action::prefix_space, std::nullopt});
}

void PreTokenizer::add_isolated(Regex pattern) {
  steps_.push_back({Action::keep_all, std::move(pattern)});
}

void PreTokenizer::add_removed(Regex pattern, bool keep_matches) {
  steps_.push_back({keep_matches ? Action::keep_matches : Action::keep_gaps, std::move(pattern)});
}

void PreTokenizer::for_each_word(std::string_view text, Regex::Scratch& scratch, const Sink& word) const {
  run(0, text, scratch, word);
}

void PreTokenizer::run(size_t step, std::string_view text, Regex::Scratch& scratch, const Sink& word) const {
  if (text.empty()) return;
  if (step == steps_.size()) {
    word(text);
  } else if (steps_[step].action != Action::prefix_space) {
    cut(step, text, scratch, word);
  } else if (text.front() == ' ') {
    run(step + 1, text, scratch, word);
  } else {
    run(step + 1, " " + std::string(text), scratch, word);
  }
}

void PreTokenizer::cut(size_t step, std::string_view text, Regex::Scratch& scratch, const Sink& word) const {
  const auto& [action, pattern] = steps_[step];
  size_t at = 0;
  while (at < text.size()) {
    const auto match = pattern->find(text, at, scratch);
    const size_t begin = match ? match->begin : text.size();
    const size_t end = match ? match->end : text.size();
    if (action != Action::keep_matches) run(step + 1, text.substr(at, begin - at), scratch, word);
    if (action != Action::keep_gaps) run(step + 1, text.substr(begin, end - begin), scratch, word);
    at = end;
  }
}

}  // namespace mformer
