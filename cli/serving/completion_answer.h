#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cli/serving/completion_request.h"
#include "core/serving/answer_writer.h"
#include "core/serving/served_model.h"

namespace mformer::cli {

/// The answer to one request as OpenAI's API writes it.
class CompletionAnswer {
 public:
  CompletionAnswer(const ServedModel& model, const CompletionRequest& request, bool chat);

  /// One of its texts. What it reads, and how it is written.
  struct Choice {
    ServedPrompt prompt;
    std::shared_ptr<AnswerWriter> writer;
    AnswerPiece all{};  ///< So far.
  };

  /// Adds what came. Throws ApiError where the text failed or the server stops.
  static void add(Choice& choice, AnswerPiece piece);
  /// The whole answer, once every choice has its end.
  nlohmann::ordered_json whole(const std::vector<Choice>& choices) const;

  /// What a stream says before the first word, for each piece (of which `choice` has all up to it), and at the end.
  /// Each is a list of events.
  std::string first_events(const Choice& choice) const;
  std::string events(const Choice& choice, const AnswerPiece& piece) const;
  static std::string problem_events(const std::string& error_json);

 private:
  using Json = nlohmann::ordered_json;
  Json head(bool chunk) const;
  Json choice_json(const Choice& choice, std::int64_t index) const;
  Json own_json(const Choice& choice) const;
  Json log_probs(const std::vector<AnswerPiece::Token>& tokens, std::size_t offset) const;
  Json text_log_probs(const std::vector<AnswerPiece::Token>& tokens, std::size_t offset) const;
  Json chat_log_probs(const std::vector<AnswerPiece::Token>& tokens) const;
  std::string bytes_of(std::int64_t id) const;
  Json named(const std::vector<double>& weights) const;
  std::string event(const Json& data) const;
  Json chunk(const Json& choice) const;

  const ServedModel& model_;
  CompletionRequest request_;
  bool chat_;
  std::string id_;
  std::int64_t created_;
};

}  // namespace mformer::cli
