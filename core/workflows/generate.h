#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/workflows/chat_prompt.h"
#include "core/workspace/version_store.h"

namespace mformer {

struct GenerateOptions {
  std::string prompt;
  std::optional<ChatRequest> chat;  ///< Answers a conversation, instead of going on with the prompt.
  std::int64_t max_tokens = 128;
  double temperature = 0.8;       ///< 0 = always the likeliest token; so is what comes close to it.
  std::int64_t top_k = 0;         ///< Sample among the k likeliest; 0 = all.
  double top_p = 0.95;            ///< … among the fewest tokens that hold this probability.
  std::vector<std::string> stop;  ///< Stop before any of these appears.
  std::uint64_t seed = 0;
  std::string dtype;  ///< "float32", "bfloat16" or, on the CPU, "int8" or "int4" (MixtureDecoder); empty = as the model
                      ///< is stored.

  at::Device device = at::kCPU;
  std::string domain;  ///< One hypothesis of a model with domains; empty = the posterior over births decides.

  /// Throws UsageError naming the option.
  void validate() const;
};

struct Generated {
  std::string prompt;  ///< What was read: of a conversation all that the template makes of it.
  std::string text;    ///< Without the prompt and the stop string.
  std::int64_t prompt_tokens = 0;
  std::int64_t tokens = 0;      ///< Drawn.
  double seconds = 0;           ///< Of drawing them, the prompt aside.
  std::string stopped_by;       ///< "length", "end of text", "end of turn", "stop string" or "interrupt".
  std::vector<double> weights;  ///< Of the hypotheses at the end; one number for a plain model.
  /// Nats by which the text drawn is at most less likely, before temperature, top-k and top-p, when all hypotheses of a
  /// model with domains run (MixtureDecoder) than as it was drawn; nothing where some were given up inside the prompt.
  std::optional<double> bound = 0.0;
};

/// The tokens that end a text: the one that stands between documents in training (Tokenizer::end_of_text) first, then
/// those that the model's config names and the tokenizer has. Empty if there are none.
std::vector<std::int32_t> end_tokens(const Tokenizer& tokenizer, const ModelConfig& config);

/// What a model computes in: by its name (GenerateOptions::dtype), or, without one, as it is stored: blocks as such,
/// bfloat16 as it is, all others in float32.
at::ScalarType inference_dtype(const Model& model, const std::string& name);

/// Continues the prompt; an empty one starts a document. The first token of end_tokens() that comes ends it, and of a
/// conversation the token that ends the assistant's turn. `on_text`
/// gets pieces of whole characters as they come. The version's model is made ready for inference: pass a temporary, or
/// both the model and that copy stay in memory. Throws Error when the model's numbers are not finite.
Generated generate(LoadedVersion version, const GenerateOptions& options,
                   const std::function<void(const std::string&)>& on_text, const std::function<bool()>& should_stop);

}  // namespace mformer
