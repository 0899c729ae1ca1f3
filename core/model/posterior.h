#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace mformer {

/// Posterior over births: which hypothesis of a model with domains (core/model/domains.h) a document belongs to,
/// judged by the probabilities that the hypotheses gave to its tokens so far. The prediction is their mixture.
///
/// With prior π and switching rates r, hypothesis h's weight w_h begins at π_h and after a token x becomes
///     w_h ← (1 − Σ_g r_g) · w_h p_h(x) / Σ_g w_g p_g(x)  +  r_h,
/// the fixed-share rule (Herbster and Warmuth, "Tracking the best expert", 1998), so that a document may change its
/// domain. For every text of T tokens and every h the loss of the mixture is at most
///     loss of h + ln(1 / π_h) + T ln(1 / (1 − Σ_{g≠h} r_g)),
/// whatever the other hypotheses do: what an extension can cost old text is bounded before it is trained. The rate of a
/// hypothesis does not depend on what is born after it, so that the same holds against the mixture of the first few
/// hypotheses as it was before the others came (EarlierMixture). docs/domains.md has the proofs.
struct PosteriorOptions {
  double base_prior = 0.5;  ///< π of the base; the domains share the rest equally.
  /// α: the rate of switching to the base is α · base_prior, to the d-th domain 2 α (1 − base_prior) / (d (d + 1));
  /// what a token costs for being ready to switch is at most 1.5 α nats, about, however many domains there are, and
  /// with one α / 2; a switch costs ln(1 / r_h). The default makes both about a hundredth of a nat a token for
  /// documents of 512 tokens with one switch.
  double switching = 1.0 / 2048;
  /// While text is generated a hypothesis is given up when its weight by Bayes' rule alone, without switching, is less:
  /// 20 nats of evidence against it (core/decoding/mixture_decoder.h).
  double negligible = 1e-9;
};

/// What is run of a model with domains where text is measured.
enum class PosteriorMode {
  strict,  ///< Every hypothesis over every token: the bounds above hold for every text.
  fast     ///< Hypotheses rest where the text speaks against them (PosteriorEvaluator): no bound against the base.
};

/// "strict", "fast".
const char* to_string(PosteriorMode mode);

/// The same with α = 0: the weights are then the plain evidence for each hypothesis.
PosteriorOptions without_switching(PosteriorOptions options);

/// π of the base and `domains` domains.
std::vector<double> prior_of(std::size_t domains, const PosteriorOptions& options = {});

/// r of the base and `domains` domains: each is the same however many follow.
std::vector<double> switching_of(std::size_t domains, const PosteriorOptions& options = {});

/// The weights along one text.
class Posterior {
 public:
  Posterior(std::size_t domains, const PosteriorOptions& options);

  /// A document begins.
  void restart() { weights_ = prior_; }

  /// A token has been seen: `log_probs` [hypotheses] what each gave it, −∞ for one that is not run. Returns the
  /// mixture's −log probability (of what is run) and moves the weights on; ∞, and the weights stay, where all gave it
  /// none.
  double observe(std::span<const double> log_probs);

  /// [hypotheses], positive unless α = 0; the sum is 1.
  const std::vector<double>& weights() const { return weights_; }

 private:
  std::vector<double> prior_, switching_, weights_;
  double stay_;
};

/// The mixture of the base and the first `earlier` of `domains` domains, along the text that the mixture of all of them
/// reads too: what the text would have cost before the others came, and the most by which they can have raised that.
///
/// Only tokens that count are summed. Within a stretch of such tokens every path of hypotheses that the earlier mixture
/// averages over has at least e^−bound of its weight in the mixture of all, where the bound is the largest ln of the
/// ratio of weights at the stretch's beginning (ln of the ratio of priors where that is a document's), and for each
/// token the ratio of the rates of staying. Tokens that count for no loss (prompts) move both mixtures: what they leave
/// to the earlier hypotheses is known when the first token that counts is predicted.
class EarlierMixture {
 public:
  EarlierMixture(std::size_t earlier, std::size_t domains, const PosteriorOptions& options);

  /// A document begins.
  void restart();

  /// A token: `log_probs` and `weights` of all hypotheses, as Posterior::observe() gets them and weights() before it.
  void observe(std::span<const double> log_probs, std::span<const double> weights, bool counts);

  double loss() const { return loss_; }    ///< Nats, over all tokens so far that count.
  double bound() const { return bound_; }  ///< Nats: the loss of all hypotheses is at most loss() + bound().

 private:
  Posterior posterior_;
  double staying_;        ///< ln of the largest ratio of rates of staying, and for the rounding of sums in double.
  bool follows_ = false;  ///< The token before this one is of the same document and counts.
  double loss_ = 0, bound_ = 0;
};

}  // namespace mformer
