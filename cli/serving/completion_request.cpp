#include "cli/serving/completion_request.h"

#include <nlohmann/json.hpp>

#include "cli/serving/api_error.h"
#include "cli/serving/body_fields.h"

namespace mformer::cli {
namespace {

constexpr std::int64_t kMostPrompts = 256, kMostTokens = 1 << 20, kMostLikeliest = 20;
constexpr std::size_t kMostStops = 16, kLongestStop = 1024;

/// What clients send along that changes no answer.
void ignore_harmless(BodyFields& fields) {
  for (const char* name : {"user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key"}) {
    fields.find(name);
  }
}

/// What others do and this server does not: taken where it asks for nothing.
void refuse_others(BodyFields& fields) {
  fields.only("n", 1, "must be 1: ask again for another answer");
  fields.only("best_of", 1, "must be 1");
  fields.only("presence_penalty", 0, "is not supported: leave it out or say 0");
  fields.only("frequency_penalty", 0, "is not supported: leave it out or say 0");
  fields.only("logit_bias", nullptr, "is not supported: leave it out");
}

void read_sampling(BodyFields& fields, CompletionRequest& request) {
  request.temperature = fields.number("temperature", 0, 100).value_or(1);
  request.top_p = fields.number("top_p", 0, 1).value_or(1);
  if (request.top_p == 0) throw ApiError(400, "'top_p' must be above 0; temperature 0 takes the likeliest token");
  request.top_k = fields.integer("top_k", -1, kMostTokens).value_or(0);
  if (request.top_k < 0) request.top_k = 0;
  if (const auto seed = fields.integer("seed", INT64_MIN, INT64_MAX)) request.seed = static_cast<std::uint64_t>(*seed);
  request.stop = fields.texts("stop");
  if (request.stop.size() > kMostStops)
    throw ApiError(400, "'stop' has more than " + std::to_string(kMostStops) + " texts");
  for (const std::string& one : request.stop) {
    if (one.empty() || one.size() > kLongestStop) {
      throw ApiError(400, "each text of 'stop' must have 1 to " + std::to_string(kLongestStop) + " bytes");
    }
  }
}

void read_stream(BodyFields& fields, CompletionRequest& request) {
  request.stream = fields.boolean("stream").value_or(false);
  if (const nlohmann::json* options = fields.find("stream_options")) {
    if (!options->is_object()) throw ApiError(400, "'stream_options' must be an object");
    BodyFields inner(*options, "stream_options.");
    request.usage_in_stream = inner.boolean("include_usage").value_or(false);
    inner.boolean("include_obfuscation");
    inner.end();
  }
}

void read_own(BodyFields& fields, CompletionRequest& request) {
  const nlohmann::json* own = fields.find("mformer");
  if (own == nullptr) return;
  if (!own->is_object()) throw ApiError(400, "'mformer' must be an object");
  BodyFields inner(*own, "mformer.");
  request.posterior = inner.boolean("posterior").value_or(false);
  request.routing = inner.boolean("routing").value_or(false);
  inner.end();
}

[[noreturn]] void refuse_prompt() {
  throw ApiError(400, "'prompt' must be a text, a list of tokens, or a list of either");
}

std::vector<std::int64_t> ids_in(const nlohmann::json& list) {
  std::vector<std::int64_t> ids;
  for (const nlohmann::json& one : list) {
    const bool fits = !one.is_number_unsigned() || one.get<std::uint64_t>() <= INT64_MAX;
    if (!one.is_number_integer() || !fits) refuse_prompt();
    ids.push_back(one.get<std::int64_t>());
  }
  return ids;
}

/// A text, tokens, or a list of texts or of lists of tokens.
void read_prompt(BodyFields& fields, CompletionRequest& request) {
  const nlohmann::json* prompt = fields.find("prompt");
  if (prompt == nullptr) throw ApiError(400, "'prompt' is missing");
  const bool list = prompt->is_array() && !prompt->empty();
  if (prompt->is_string() || (list && prompt->front().is_string())) {
    request.texts = fields.texts("prompt");
  } else if (list && prompt->front().is_array()) {
    for (const nlohmann::json& one : *prompt) {
      if (!one.is_array()) refuse_prompt();
      request.ids.push_back(ids_in(one));
    }
  } else if (list) {
    request.ids.push_back(ids_in(*prompt));
  } else {
    refuse_prompt();
  }
  const std::size_t count = request.texts.size() + request.ids.size();
  if (count > kMostPrompts) throw ApiError(400, "'prompt' has more than " + std::to_string(kMostPrompts) + " prompts");
  if (request.stream && count > 1) throw ApiError(400, "only one prompt can be streamed at a time");
}

void read_text_fields(BodyFields& fields, CompletionRequest& request) {
  read_prompt(fields, request);
  request.max_tokens = fields.integer("max_tokens", 0, kMostTokens);
  if (const auto count = fields.integer("logprobs", 0, kMostLikeliest)) {
    request.log_probs = true, request.likeliest = *count;
  }
  request.echo = fields.boolean("echo").value_or(false);
  fields.only("suffix", "", "is not supported: leave it out");
}

void read_messages_field(BodyFields& fields, CompletionRequest& request) {
  const nlohmann::json* messages = fields.find("messages");
  if (messages == nullptr) throw ApiError(400, "'messages' is missing");
  ReadMessages read = read_messages(*messages);
  if (!read.problem.empty()) throw ApiError(400, "'messages' " + read.problem);
  request.messages = std::move(read.messages);
}

void read_chat_fields(BodyFields& fields, CompletionRequest& request) {
  read_messages_field(fields, request);
  const auto newer = fields.integer("max_completion_tokens", 1, kMostTokens);
  const auto older = fields.integer("max_tokens", 1, kMostTokens);
  request.max_tokens = newer ? newer : older;
  request.log_probs = fields.boolean("logprobs").value_or(false);
  const auto count = fields.integer("top_logprobs", 0, kMostLikeliest);
  if (count && !request.log_probs) throw ApiError(400, "'top_logprobs' needs 'logprobs': true");
  request.likeliest = count.value_or(0);
  fields.only("tools", nullptr, "is not supported: leave it out");
  fields.only("tool_choice", "none", "is not supported: leave it out");
  fields.only("parallel_tool_calls", false, "is not supported: leave it out");
  fields.only("response_format", {{"type", "text"}}, "is not supported: answers are text");
  fields.only("modalities", nlohmann::json::array({"text"}), "is not supported: answers are text");
}

}  // namespace

CompletionRequest read_completion(const std::string& body, bool chat) {
  const nlohmann::json object = body_object(body);
  BodyFields fields(object, "");
  CompletionRequest request;
  request.model = fields.text("model").value_or("");
  if (request.model.empty()) throw ApiError(400, "'model' is missing: GET /v1/models lists what there is");
  ignore_harmless(fields);
  refuse_others(fields);
  read_sampling(fields, request);
  read_stream(fields, request);
  read_own(fields, request);
  chat ? read_chat_fields(fields, request) : read_text_fields(fields, request);
  fields.end();
  return request;
}

}  // namespace mformer::cli
