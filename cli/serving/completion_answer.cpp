#include "cli/serving/completion_answer.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <ctime>
#include <random>
#include <utility>

#include "cli/serving/api_error.h"
#include "core/text/utf8.h"

namespace mformer::cli {
namespace {

using Json = nlohmann::ordered_json;

std::string answer_id(bool chat) {
  static std::atomic<std::uint64_t> count{0};
  static const std::uint64_t start = std::random_device()();
  return (chat ? "chatcmpl-" : "cmpl-") + std::to_string(start) + "-" + std::to_string(++count);
}

std::string json_text(const Json& data) {
  return data.dump(-1, ' ', false, Json::error_handler_t::replace);
}

const char* finish_reason(const AnswerPiece& all) {
  return all.end == TextEnd::length && !all.stopped ? "length" : "stop";
}

/// ln p, which JSON has no −∞ for.
Json log_prob_json(double value) {
  return std::isfinite(value) ? Json(value) : Json(-9999.0);
}

Json usage_json(std::int64_t prompt, std::int64_t drawn) {
  return {{"prompt_tokens", prompt}, {"completion_tokens", drawn}, {"total_tokens", prompt + drawn}};
}

/// Of the prompt, drawn, and what ended the text: whoever reads with echo and max_tokens 1 counts on one more than the
/// prompt has.
std::vector<AnswerPiece::Token> all_tokens(const AnswerPiece& piece) {
  std::vector<AnswerPiece::Token> tokens = piece.prompt;
  tokens.insert(tokens.end(), piece.tokens.begin(), piece.tokens.end());
  if (piece.ended_by) tokens.push_back(*piece.ended_by);
  return tokens;
}

/// Characters that begin in these bytes of UTF-8.
std::size_t characters_in(const std::string& bytes) {
  return static_cast<std::size_t>(std::count_if(
      bytes.begin(), bytes.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

std::size_t characters_in(const std::vector<AnswerPiece::Token>& tokens) {
  std::size_t characters = 0;
  for (const AnswerPiece::Token& one : tokens) characters += characters_in(one.bytes);
  return characters;
}

template <typename List>
void move_to(List& from, List& to) {
  to.insert(to.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
}

Json shares(const std::vector<std::int64_t>& counts) {
  std::int64_t all = 0;
  for (const std::int64_t one : counts) all += one;
  Json list = Json::array();
  for (const std::int64_t one : counts) list.push_back(static_cast<double>(one) / static_cast<double>(all));
  return list;
}

}  // namespace

CompletionAnswer::CompletionAnswer(const ServedModel& model, const CompletionRequest& request, bool chat)
    : model_(model), request_(request), chat_(chat), id_(answer_id(chat)), created_(std::time(nullptr)) {}

void CompletionAnswer::add(Choice& choice, AnswerPiece piece) {
  if (piece.end == TextEnd::failed) throw ApiError(500, piece.problem);
  if (piece.end == TextEnd::closing) throw ApiError(503, "the server is stopping");
  choice.all.text += piece.text;
  move_to(piece.prompt, choice.all.prompt);
  move_to(piece.tokens, choice.all.tokens);
  choice.all.stopped = choice.all.stopped || piece.stopped;
  if (piece.ended_by) choice.all.ended_by = std::move(piece.ended_by);
  if (piece.end) choice.all.end = piece.end, choice.all.weights = std::move(piece.weights);
}

Json CompletionAnswer::head(bool chunk) const {
  const char* object = !chat_ ? "text_completion" : chunk ? "chat.completion.chunk" : "chat.completion";
  return {{"id", id_},
          {"object", object},
          {"created", created_},
          {"model", request_.model},
          {"system_fingerprint", model_.record().hash.substr(0, 12)}};
}

Json CompletionAnswer::whole(const std::vector<Choice>& choices) const {
  Json answer = head(false);
  answer["choices"] = Json::array();
  std::int64_t prompt = 0, drawn = 0;
  for (const Choice& choice : choices) {
    answer["choices"].push_back(choice_json(choice, static_cast<std::int64_t>(answer["choices"].size())));
    prompt += static_cast<std::int64_t>(choice.prompt.ids.size());
    drawn += static_cast<std::int64_t>(choice.all.tokens.size());
  }
  answer["usage"] = usage_json(prompt, drawn);
  return answer;
}

Json CompletionAnswer::choice_json(const Choice& choice, std::int64_t index) const {
  Json json = {{"index", index}};
  if (chat_) {
    json["message"] = {{"role", "assistant"}, {"content", choice.all.text}};
  } else {
    json["text"] = (request_.echo ? replace_invalid_utf8(choice.prompt.text) : "") + choice.all.text;
  }
  json["logprobs"] = request_.log_probs ? log_probs(all_tokens(choice.all), 0) : Json(nullptr);
  json["finish_reason"] = finish_reason(choice.all);
  if (request_.posterior || request_.routing) json["mformer"] = own_json(choice);
  return json;
}

Json CompletionAnswer::named(const std::vector<double>& weights) const {
  Json json = Json::object();
  for (std::size_t h = 0; h < weights.size(); ++h) json[model_.hypotheses()[h]] = weights[h];
  return json;
}

/// What only this server knows: what the hypotheses weigh, and which modules were chosen.
Json CompletionAnswer::own_json(const Choice& choice) const {
  Json own = Json::object();
  if (request_.posterior) {
    Json tokens = Json::array();
    for (const AnswerPiece::Token& one : choice.all.tokens) tokens.push_back(named(one.weights));
    own["posterior"] = {{"weights", named(choice.all.weights)}, {"tokens", tokens}};
  }
  if (!request_.routing) return own;
  own["routing"] = Json::object();
  for (const auto& [hypothesis, layers] : choice.writer->chosen()) {
    Json list = Json::array();
    for (const ChosenModules& layer : layers) list.push_back({{"att", shares(layer.att)}, {"mlp", shares(layer.mlp)}});
    own["routing"][model_.hypotheses()[hypothesis]] = list;
  }
  return own;
}

std::string CompletionAnswer::bytes_of(std::int64_t id) const {
  const auto token = static_cast<std::int32_t>(id);
  return model_.tokenizer().decode(std::span(&token, 1), {.continues = true});
}

Json CompletionAnswer::log_probs(const std::vector<AnswerPiece::Token>& tokens, std::size_t offset) const {
  return chat_ ? chat_log_probs(tokens) : text_log_probs(tokens, offset);
}

Json CompletionAnswer::text_log_probs(const std::vector<AnswerPiece::Token>& tokens, std::size_t offset) const {
  Json json = {{"tokens", Json::array()},
               {"token_logprobs", Json::array()},
               {"top_logprobs", Json::array()},
               {"text_offset", Json::array()}};
  for (const AnswerPiece::Token& one : tokens) {
    json["tokens"].push_back(replace_invalid_utf8(one.bytes));
    json["text_offset"].push_back(offset);
    offset += characters_in(one.bytes);
    if (!one.token.log_prob) {
      json["token_logprobs"].push_back(nullptr), json["top_logprobs"].push_back(nullptr);
      continue;
    }
    json["token_logprobs"].push_back(log_prob_json(*one.token.log_prob));
    Json top = Json::object();
    for (const TokenLogProb& other : one.token.likeliest) {
      const std::string text = replace_invalid_utf8(bytes_of(other.id));
      if (!top.contains(text)) top[text] = log_prob_json(other.log_prob);  // halves of characters look alike
    }
    json["top_logprobs"].push_back(top);
  }
  return json;
}

Json CompletionAnswer::chat_log_probs(const std::vector<AnswerPiece::Token>& tokens) const {
  const auto bytes_json = [](const std::string& bytes) {
    Json list = Json::array();
    for (const char c : bytes) list.push_back(static_cast<unsigned char>(c));
    return list;
  };
  Json content = Json::array();
  for (const AnswerPiece::Token& one : tokens) {
    Json top = Json::array();
    for (const TokenLogProb& other : one.token.likeliest) {
      const std::string bytes = bytes_of(other.id);
      top.push_back({{"token", replace_invalid_utf8(bytes)},
                     {"logprob", log_prob_json(other.log_prob)},
                     {"bytes", bytes_json(bytes)}});
    }
    content.push_back({{"token", replace_invalid_utf8(one.bytes)},
                       {"logprob", log_prob_json(one.token.log_prob.value_or(-INFINITY))},
                       {"bytes", bytes_json(one.bytes)},
                       {"top_logprobs", top}});
  }
  return {{"content", content}, {"refusal", nullptr}};
}

std::string CompletionAnswer::event(const Json& data) const {
  return "data: " + json_text(data) + "\n\n";
}

Json CompletionAnswer::chunk(const Json& choice) const {
  Json json = head(true);
  json["choices"] = Json::array({choice});
  if (request_.usage_in_stream) json["usage"] = nullptr;
  return json;
}

std::string CompletionAnswer::first_events(const Choice& choice) const {
  if (chat_) {
    return event(chunk({{"index", 0},
                        {"delta", {{"role", "assistant"}, {"content", ""}}},
                        {"logprobs", nullptr},
                        {"finish_reason", nullptr}}));
  }
  if (!request_.echo) return "";
  return event(chunk({{"index", 0},
                      {"text", replace_invalid_utf8(choice.prompt.text)},
                      {"logprobs", nullptr},
                      {"finish_reason", nullptr}}));
}

std::string CompletionAnswer::events(const Choice& choice, const AnswerPiece& piece) const {
  std::string events;
  const std::vector<AnswerPiece::Token> tokens = all_tokens(piece);
  if (!piece.text.empty() || !tokens.empty()) {
    Json json = {{"index", 0}};
    if (chat_) {
      json["delta"] = {{"content", piece.text}};
    } else {
      json["text"] = piece.text;
    }
    const std::size_t before = characters_in(all_tokens(choice.all)) - characters_in(tokens);
    json["logprobs"] = request_.log_probs && !tokens.empty() ? log_probs(tokens, before) : Json(nullptr);
    json["finish_reason"] = nullptr;
    events += event(chunk(json));
  }
  if (!piece.end) return events;
  Json last = {{"index", 0}};
  if (chat_) {
    last["delta"] = Json::object();
  } else {
    last["text"] = "";
  }
  last["logprobs"] = nullptr, last["finish_reason"] = finish_reason(choice.all);
  if (request_.posterior || request_.routing) last["mformer"] = own_json(choice);
  events += event(chunk(last));
  if (request_.usage_in_stream) {
    Json usage = head(true);
    usage["choices"] = Json::array();
    usage["usage"] = usage_json(static_cast<std::int64_t>(choice.prompt.ids.size()),
                                static_cast<std::int64_t>(choice.all.tokens.size()));
    events += event(usage);
  }
  return events + "data: [DONE]\n\n";
}

std::string CompletionAnswer::problem_events(const std::string& error_json) {
  return "data: " + error_json + "\n\n";
}

}  // namespace mformer::cli
