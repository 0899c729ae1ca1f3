#include "core/model/posterior.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace mformer {
namespace {

/// Nats a token that bounds allow for rounding: a sum of a million losses in double is off by less.
constexpr double kBoundRounding = 1e-10;

/// How much less, at most, a hypothesis of the earlier ones keeps its text after a token now that there are more: ln.
double staying_cost(std::size_t earlier, std::size_t domains, const PosteriorOptions& options) {
  const std::vector<double> before = switching_of(earlier, options), after = switching_of(domains, options);
  const double leaving_before = std::accumulate(before.begin(), before.end(), 0.0);
  const double leaving_after = std::accumulate(after.begin(), after.end(), 0.0);
  double cost = 0;
  for (const double own : before) {
    cost = std::max(cost, std::log1p(own - leaving_before) - std::log1p(own - leaving_after));
  }
  return cost;
}

}  // namespace

const char* to_string(PosteriorMode mode) {
  return mode == PosteriorMode::strict ? "strict" : "fast";
}

PosteriorOptions without_switching(PosteriorOptions options) {
  options.switching = 0;
  return options;
}

std::vector<double> prior_of(std::size_t domains, const PosteriorOptions& options) {
  if (domains == 0) return {1.0};
  std::vector<double> prior(domains + 1, (1.0 - options.base_prior) / static_cast<double>(domains));
  prior[0] = options.base_prior;
  return prior;
}

std::vector<double> switching_of(std::size_t domains, const PosteriorOptions& options) {
  std::vector<double> rates = {options.switching * options.base_prior};
  for (std::size_t d = 1; d <= domains; ++d) {
    rates.push_back(2.0 * options.switching * (1.0 - options.base_prior) / static_cast<double>(d * (d + 1)));
  }
  return rates;
}

Posterior::Posterior(std::size_t domains, const PosteriorOptions& options)
    : prior_(prior_of(domains, options)),
      switching_(switching_of(domains, options)),
      weights_(prior_),
      stay_(1.0 - std::accumulate(switching_.begin(), switching_.end(), 0.0)) {}

double Posterior::observe(std::span<const double> log_probs) {
  double most = -std::numeric_limits<double>::infinity();  // of the hypotheses that have weight
  for (std::size_t h = 0; h < weights_.size(); ++h) {
    if (weights_[h] > 0) most = std::max(most, log_probs[h]);
  }
  if (most == -std::numeric_limits<double>::infinity()) return -most;
  double sum = 0;
  for (std::size_t h = 0; h < weights_.size(); ++h) {
    weights_[h] = weights_[h] > 0 ? weights_[h] * std::exp(log_probs[h] - most) : 0.0;
    sum += weights_[h];
  }
  for (std::size_t h = 0; h < weights_.size(); ++h) weights_[h] = stay_ * weights_[h] / sum + switching_[h];
  return -(most + std::log(sum));
}

EarlierMixture::EarlierMixture(std::size_t earlier, std::size_t domains, const PosteriorOptions& options)
    : posterior_(earlier, options), staying_(staying_cost(earlier, domains, options) + kBoundRounding) {}

void EarlierMixture::restart() {
  posterior_.restart();
  follows_ = false;
}

void EarlierMixture::observe(std::span<const double> log_probs, std::span<const double> weights, bool counts) {
  const std::vector<double>& before = posterior_.weights();
  double ratio = 1;
  for (std::size_t h = 0; h < before.size(); ++h) ratio = std::max(ratio, before[h] / weights[h]);
  const double loss = posterior_.observe(log_probs.first(before.size()));
  if (counts) {
    bound_ += staying_ + (follows_ ? 0.0 : std::log(ratio));
    loss_ += loss;
  }
  follows_ = counts;
}

}  // namespace mformer
