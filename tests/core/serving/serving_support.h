#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "core/serving/scheduler.h"

namespace mformer::testing {

inline constexpr std::int64_t kServedVocabulary = 61;

/// Keeps all that it is told.
struct Listener : TextObserver {
  bool wanted() const override { return wants; }
  void prompt(const std::vector<ReadToken>& tokens) override {
    heard.insert(heard.end(), tokens.begin(), tokens.end());
  }
  bool token(const ReadToken& token, const std::vector<double>& weights) override {
    drawn.push_back(token);
    drawn_with.push_back(weights);
    if (on_token) on_token();
    return goes_on;
  }
  void ended_by(const ReadToken& token) override { last = token.id; }
  void routing(std::size_t hypothesis, const std::vector<BlockTrace>& layers) override {
    rows[hypothesis] += layers.at(0).mlp.decision.indices.size(0);
  }
  void end(TextEnd reason, const std::vector<double>& weights, const std::string& problem) override {
    ended = reason, at_end = weights, what = problem;
  }
  std::vector<std::int64_t> ids() const {
    std::vector<std::int64_t> all;
    for (const ReadToken& one : drawn) all.push_back(one.id);
    return all;
  }

  bool wants = true, goes_on = true;
  std::function<void()> on_token;
  std::vector<ReadToken> heard, drawn;
  std::vector<std::vector<double>> drawn_with;
  std::map<std::size_t, std::int64_t> rows;
  std::optional<std::int64_t> last;
  std::optional<TextEnd> ended;
  std::vector<double> at_end;
  std::string what;
};

inline std::vector<std::int64_t> random_prompt(std::size_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<std::int64_t> ids(count);
  for (auto& id : ids) id = static_cast<std::int64_t>(random() % kServedVocabulary);
  return ids;
}

inline TextRequest request_of(std::size_t prompt, std::int64_t tokens, unsigned seed) {
  TextRequest request;
  request.ids = random_prompt(prompt, seed);
  request.max_tokens = tokens;
  request.sampling = {.temperature = 0.9, .top_p = 0.95};
  request.seed = seed;
  request.log_probs = true;
  request.likeliest = 2;
  return request;
}

inline Scheduler scheduler_for(const Model& model, const SchedulerLimits& limits = {}) {
  return {decoding_views(model, at::kFloat, at::kCPU), kServedVocabulary, limits};
}

inline void run_out(Scheduler& scheduler) {
  for (int i = 0; i < 10000 && scheduler.step(); ++i) {
  }
}

}  // namespace mformer::testing
