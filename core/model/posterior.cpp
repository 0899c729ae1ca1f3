#include "core/model/posterior.h"

#include <algorithm>
#include <cmath>

namespace mformer {

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

double rise_bound(std::size_t earlier, std::size_t domains, std::int64_t documents, std::int64_t tokens,
                  const PosteriorOptions& options) {
  const std::vector<double> before = prior_of(earlier, options), after = prior_of(domains, options);
  double kept = 1.0;  // the least factor by which a hypothesis' prior shrank
  for (std::size_t h = 0; h < before.size(); ++h) kept = std::min(kept, after[h] / before[h]);
  return -static_cast<double>(documents) * std::log(kept) -
         static_cast<double>(tokens) * std::log1p(-options.switching * (1.0 - kept));
}

Posterior::Posterior(std::size_t domains, const PosteriorOptions& options)
    : prior_(prior_of(domains, options)), weights_(prior_), switching_(domains == 0 ? 0.0 : options.switching) {}

double Posterior::observe(std::span<const double> log_probs) {
  const double most = *std::max_element(log_probs.begin(), log_probs.end());
  double sum = 0;
  for (std::size_t h = 0; h < weights_.size(); ++h) {
    weights_[h] *= std::exp(log_probs[h] - most);
    sum += weights_[h];
  }
  for (std::size_t h = 0; h < weights_.size(); ++h) {
    weights_[h] = (1.0 - switching_) * weights_[h] / sum + switching_ * prior_[h];
  }
  return -(most + std::log(sum));
}

}  // namespace mformer
