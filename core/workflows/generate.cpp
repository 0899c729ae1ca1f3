#include "core/workflows/generate.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <utility>

#include "core/decoding/mixture_decoder.h"
#include "core/decoding/next_token.h"
#include "core/decoding/streamed_text.h"
#include "core/model/domains.h"
#include "core/model/inference.h"
#include "core/text/utf8.h"
#include "core/training/retain_memory.h"
#include "modules_registry/error.h"

namespace mformer {
namespace {

/// Room for keys and values that is reserved at once; longer texts double it.
constexpr std::int64_t kMostPositionsReserved = 4096;

/// What the model reads before it writes. A conversation's template writes the opening itself.
ChatPrompt prompt_of(const LoadedVersion& version, const GenerateOptions& options) {
  if (options.chat) return chat_prompt(version, *options.chat);
  const Tokenizer& tokenizer = require_tokenizer(version);
  const std::vector<std::int32_t> prompt = tokenizer.encode(options.prompt);
  const auto opening = tokenizer.opening_of(prompt);
  ChatPrompt plain{options.prompt, {opening.begin(), opening.end()}, std::nullopt};
  plain.ids.insert(plain.ids.end(), prompt.begin(), prompt.end());
  return plain;
}

}  // namespace

at::ScalarType inference_dtype(const Model& model, const std::string& name) {
  if (name.empty() && model.config.block_bits() != 0) return at::kChar;
  if (name == "int4") return kInt4;
  if (name.empty()) return model.wte.scalar_type() == at::kBFloat16 ? at::kBFloat16 : at::kFloat;
  return name == "int8" ? at::kChar : name == "bfloat16" ? at::kBFloat16 : at::kFloat;
}

std::vector<std::int32_t> end_tokens(const Tokenizer& tokenizer, const ModelConfig& config) {
  std::vector<std::int32_t> ends;
  const auto add = [&](std::int64_t id) {
    if (id < tokenizer.vocab_size() && tokenizer.contains(static_cast<std::int32_t>(id))) {
      ends.push_back(static_cast<std::int32_t>(id));
    }
  };
  if (const auto id = tokenizer.find_end_of_text()) add(*id);
  for (const std::int64_t id : config.end_tokens()) add(id);
  return ends;
}

Generated generate(LoadedVersion version, const GenerateOptions& options,
                   const std::function<void(const std::string&)>& on_text, const std::function<bool()>& should_stop) {
  options.validate();
  const at::NoGradGuard no_grad;
  const Tokenizer& tokenizer = require_tokenizer(version);
  const std::vector<std::int32_t> ends = end_tokens(tokenizer, version.model.config);
  const ChatPrompt prompt = prompt_of(version, options);
  std::vector<std::int64_t> ids(prompt.ids.begin(), prompt.ids.end());
  Generated result;
  result.prompt = prompt.text;
  result.prompt_tokens = static_cast<std::int64_t>(ids.size());
  if (ids.empty() && ends.empty()) {
    throw UsageError(
        "a document can't begin from nothing: neither tokenizer nor config names a token between documents",
        "begin it: --prompt TEXT");
  }
  if (ids.empty()) ids.push_back(ends.front());

  retain_freed_memory();
  if (!options.domain.empty()) version.model = view_of(version.model, options.domain);
  const at::ScalarType dtype = inference_dtype(version.model, options.dtype);
  const auto room = std::min(static_cast<std::int64_t>(ids.size()) + options.max_tokens, kMostPositionsReserved);
  MixtureDecoder decoder(std::exchange(version.model, Model()), dtype, room, {}, options.device);
  at::Generator generator = at::detail::createCPUGenerator(options.seed);
  StreamedText stream(options.stop, on_text);
  result.stopped_by = "length";
  double bound = 0;
  auto start = std::chrono::steady_clock::now();
  while (result.tokens < options.max_tokens) {
    const at::Tensor logits = decoder.read(ids);
    if (result.tokens == 0) start = std::chrono::steady_clock::now();
    bound += std::max(0.0, -std::log(decoder.kept()));
    const auto id = static_cast<std::int32_t>(
        draw_token(logits, {options.temperature, options.top_k, options.top_p}, tokenizer.vocab_size(), generator));
    if (id == prompt.turn_end) {
      result.stopped_by = "end of turn";
      break;
    }
    if (std::find(ends.begin(), ends.end(), id) != ends.end()) {
      result.stopped_by = "end of text";
      break;
    }
    const bool continues = !prompt.text.empty() || result.tokens > 0;
    ++result.tokens;
    if (!stream.append(tokenizer.decode(std::span(&id, 1), {.continues = continues}))) {
      result.stopped_by = "stop string";
      break;
    }
    if (should_stop && should_stop()) {
      result.stopped_by = "interrupt";
      break;
    }
    ids = {id};
  }
  stream.finish();
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  result.text = replace_invalid_utf8(stream.text());
  result.weights = decoder.weights();
  result.bound = decoder.gave_up_while_reading() ? std::nullopt : std::optional<double>(bound);
  return result;
}

}  // namespace mformer
