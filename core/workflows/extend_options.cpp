#include <cmath>
#include <string>

#include "core/workflows/extend.h"
#include "modules_registry/error.h"

namespace mformer {

NewModules new_modules_from_string(const std::string& text) {
  if (text == "copy") return NewModules::copy;
  if (text == "random") return NewModules::random;
  if (text == "unchanged") return NewModules::unchanged;
  throw UsageError("unknown start '" + text + "' for new modules", "known: copy, random, unchanged");
}

void ExtendCommand::validate() const {
  options.validate();
  const std::int64_t mlp = experts.value_or(1), att = heads.value_or(1);
  if (mlp < 0 || att < 0 || mlp + att == 0) {
    throw UsageError("--experts and --heads must not be negative, and not both 0", "for example --experts 4 --heads 2");
  }
  if (!(budget.value_or(1) > 0)) throw UsageError("--budget must be positive", "for example --budget 0.3");
  if (budget.has_value() && experts.has_value() && heads.has_value()) {
    throw UsageError("--budget decides how many modules there are, but both numbers are given",
                     "leave --budget out, or one of --experts and --heads");
  }
  const double replayed = replay.value_or(0);
  require_replay_share(replayed);
  if (!(memory > 0 && memory <= 1))
    throw UsageError("--memory is a share above 0 and at most 1", "for example --memory 0.01");
  const double rehearsed = rehearse.value_or(0);
  if (!(rehearsed >= 0 && std::isfinite(rehearsed)))
    throw UsageError("--rehearse must not be negative", "1 = as much as is new, 0 = nothing");
  if (!(rehearse_weight > 0)) throw UsageError("--rehearse-weight must be positive", "for example 16");
  if (rehearses() && token_rows > 0)
    throw UsageError("--token-rows is for training without rehearsal, which trains all rows", "add --rehearse 0");
  if (!(separation >= 0)) throw UsageError("--separation must not be negative", "0 = none");
  if (token_rows < 0) throw UsageError("--token-rows must not be negative", "0 = no row of an old token");
  if (!(penalty >= 0)) throw UsageError("--penalty must not be negative", "for example --penalty 0.5");
  if (review_steps.value_or(0) < 0) throw UsageError("--review-steps must not be negative", "0 = no review");
  if (single_mask && eight_bits) {
    throw UsageError("--store is for what a domain has for itself, and --single-mask makes none",
                     "leave one of the two out; mformer export --quantize int8 writes a whole model in 8 bits");
  }
  const bool reviewed = review_steps.value_or(0) > 0;
  if (!single_mask && (rehearsed > 0 || replayed > 0 || token_rows > 0 || penalty > 0 || reviewed)) {
    throw UsageError("--rehearse, --replay, --token-rows, --penalty and --review-steps belong to --single-mask",
                     "a domain of its own needs none of them: other text never meets it");
  }
}

}  // namespace mformer
