#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "core/model/forward.h"
#include "core/model/model.h"
#include "core/model/posterior.h"

namespace mformer {

/// Decoding with one model or with all that the posterior over births does not rule out. On the CPU views are prepared
/// for inference (core/model/inference.h); on another device they run as models of that dtype do, modules that are int8
/// as numbers of it, with bfloat16 the matrices alone (core/model/placement.h), so that the two compute the same but
/// for rounding. Views are forgotten when their weight becomes negligible: after the first tokens of a text there is
/// one, and a step costs what it costs a plain model.
class MixtureDecoder {
 public:
  /// Takes the model over. `positions`: room for so many tokens from the start.
  MixtureDecoder(Model model, at::ScalarType dtype, std::int64_t positions, const PosteriorOptions& options = {},
                 at::Device device = at::kCPU);
  ~MixtureDecoder();

  /// Reads further tokens, at least one; returns the logits of the next one, [vocab], on the CPU: those of the one
  /// model that is left, or else log-probabilities of the mixture.
  at::Tensor read(const std::vector<std::int64_t>& ids);

  /// [hypotheses] weights; 0 for those that were ruled out.
  std::vector<double> weights() const;

 private:
  struct Hypothesis;
  at::Tensor mixed(const std::vector<at::Tensor>& log_probs) const;
  void rule_out();

  std::vector<std::unique_ptr<Hypothesis>> hypotheses_;  ///< Null where ruled out.
  Posterior posterior_;
  Posterior evidence_;  ///< Without switching: what rules hypotheses out.
  PosteriorOptions options_;
  std::vector<at::Tensor>
      next_;  ///< Of each hypothesis the log-probabilities of the next token, once something was read.
};

}  // namespace mformer
