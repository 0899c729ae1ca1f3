#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace mformer {

/// Posterior over births: which hypothesis of a model with domains (core/model/domains.h) a document belongs to,
/// judged by the probabilities that the hypotheses gave to its tokens so far. The prediction is their mixture.
///
/// With prior π and switching rate α, hypothesis h's weight w_h begins at π_h and after a token x becomes
///     w_h ← (1 − α) · w_h p_h(x) / Σ_g w_g p_g(x)  +  α π_h,
/// the fixed-share rule (Herbster and Warmuth, "Tracking the best expert", 1998), so that a document may change its
/// domain. For every text of T tokens and every h the loss of the mixture is at most
///     loss of h + ln(1 / π_h) + T ln(1 / (1 − α (1 − π_h))),
/// whatever the other hypotheses do: what an extension can cost old text is bounded before it is trained.
struct PosteriorOptions {
  double base_prior = 0.5;  ///< π of the base; the domains share the rest equally.
  /// α: what a token costs for being ready to switch, in nats, about; a switch costs ln(1/α) + ln(1/π). The default
  /// makes both about a hundredth of a nat a token for documents of 512 tokens with one switch.
  double switching = 1.0 / 2048;
  /// A hypothesis is not run any further when its weight by Bayes' rule alone, without switching, is less: 20 nats of
  /// evidence against it. What it would have contributed is counted as lost: the loss given is an upper bound of the
  /// exact mixture's.
  double negligible = 1e-9;
};

/// The same with α = 0: the weights are then the plain evidence for each hypothesis.
PosteriorOptions without_switching(PosteriorOptions options);

/// π of the base and `domains` domains.
std::vector<double> prior_of(std::size_t domains, const PosteriorOptions& options = {});

/// How much more, at most, the loss of a text can be, in nats, under a mixture with `domains` domains than under the
/// one with `earlier` < `domains` of them (none: the base alone; otherwise one that switches at a rate lower by less
/// than α): `documents` texts with `tokens` tokens in all.
double rise_bound(std::size_t earlier, std::size_t domains, std::int64_t documents, std::int64_t tokens,
                  const PosteriorOptions& options = {});

/// The weights along one text.
class Posterior {
 public:
  Posterior(std::size_t domains, const PosteriorOptions& options);

  /// A document begins.
  void restart() { weights_ = prior_; }

  /// A token has been seen: `log_probs` [hypotheses] what each gave it, −∞ for one that is not run. Returns the
  /// mixture's −log probability (of what is run) and moves the weights on.
  double observe(std::span<const double> log_probs);

  /// [hypotheses], positive; the sum is 1.
  const std::vector<double>& weights() const { return weights_; }

 private:
  std::vector<double> prior_, weights_;
  double switching_;
};

}  // namespace mformer
