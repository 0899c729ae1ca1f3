#include "cli/serving/endpoints.h"

#include <memory>
#include <nlohmann/json.hpp>
#include <random>
#include <utility>

#include "cli/serving/completion_answer.h"
#include "cli/serving/serve_metrics.h"

namespace mformer::cli {
namespace {

using Json = nlohmann::ordered_json;
using httplib::Request;
using httplib::Response;

constexpr std::chrono::milliseconds kLookForClient{100};

void answer_json(Response& response, const Json& json) {
  response.set_content(json.dump(-1, ' ', false, Json::error_handler_t::replace), "application/json");
}

bool client_gone() {
  return Connection::current() != nullptr && Connection::current()->gone();
}

class Completions {
 public:
  Completions(const ServedModel& model, Scheduler& scheduler, const ServeDefaults& defaults, bool chat)
      : model_(model), scheduler_(scheduler), defaults_(defaults), chat_(chat) {}

  void answer(const Request& http, Response& response) const {
    const CompletionRequest request = read_completion(http.body, chat_);
    auto writing = std::make_shared<Writing>(Writing{{model_, request, chat_}, {}});
    const auto named = model_.names().find(request.model);
    if (named == model_.names().end()) {
      throw ApiError(404,
                     "there is no model '" + request.model.substr(0, 100) + "': GET /v1/models lists what there is",
                     "model_not_found");
    }
    for (ServedPrompt& prompt : prompts_of(request)) {
      const bool continues = !prompt.text.empty();
      writing->choices.push_back(
          {std::move(prompt), std::make_shared<AnswerWriter>(model_.tokenizer(), request.stop, continues)});
    }
    const Leaving leaving{writing->choices, !request.stream};
    for (auto& choice : writing->choices) submit(request, named->second, choice);
    request.stream ? stream(writing, response) : collect(*writing, response);
  }

 private:
  struct Writing {
    CompletionAnswer answer;
    std::vector<CompletionAnswer::Choice> choices;
    bool begun = false;
  };

  /// Whatever ends an answer early, nothing goes on being written for it.
  struct Leaving {
    std::vector<CompletionAnswer::Choice>& choices;
    bool at_end;
    ~Leaving() {
      if (!at_end && std::uncaught_exceptions() == 0) return;
      for (auto& choice : choices) choice.writer->leave();
    }
  };

  std::vector<ServedPrompt> prompts_of(const CompletionRequest& request) const {
    std::vector<ServedPrompt> prompts;
    if (chat_) prompts.push_back(model_.chat(request.messages));
    for (const std::string& text : request.texts) prompts.push_back(model_.prompt(text));
    for (const auto& ids : request.ids) prompts.push_back(model_.prompt(ids));
    return prompts;
  }

  std::int64_t most_tokens(const CompletionRequest& request, std::int64_t prompt) const {
    const std::int64_t room = defaults_.context - prompt;
    const std::int64_t least = request.max_tokens == 0 ? 0 : 1;
    if (room < request.max_tokens.value_or(least)) {
      const std::string asked = request.max_tokens ? " and 'max_tokens' " + std::to_string(*request.max_tokens) : "";
      throw ApiError(400,
                     "the prompt's " + std::to_string(prompt) + " tokens" + asked + " are more than the context of " +
                         std::to_string(defaults_.context),
                     "context_length_exceeded");
    }
    return request.max_tokens.value_or(std::min(room, chat_ ? defaults_.max_chat_tokens : defaults_.max_tokens));
  }

  void submit(const CompletionRequest& request, std::optional<std::size_t> hypothesis,
              const CompletionAnswer::Choice& choice) const {
    TextRequest text;
    text.ids = choice.prompt.ids;
    text.max_tokens = most_tokens(request, static_cast<std::int64_t>(text.ids.size()));
    text.sampling = {request.temperature, request.top_k, request.top_p};
    text.seed = request.seed ? *request.seed : defaults_.seed ? *defaults_.seed : std::random_device()();
    text.ends = model_.ends(), text.turn_end = choice.prompt.turn_end;
    text.hypothesis = hypothesis;
    text.log_probs = request.log_probs, text.likeliest = request.likeliest;
    text.prompt_log_probs = request.log_probs && request.echo;
    text.routing = request.routing;
    const std::int64_t bytes = scheduler_.bytes_of(text);
    switch (scheduler_.submit(std::move(text), choice.writer)) {
      case Admission::taken:
        return;
      case Admission::too_large:
        throw ApiError(400, "the request needs " + std::to_string(bytes) +
                                " bytes for keys and values, more than --max-memory: ask for fewer tokens");
      case Admission::full:
        throw ApiError(429, "too many requests wait; try again", "queue_full");
      case Admission::closing:
        throw ApiError(503, "the server is stopping");
    }
  }

  static void collect(Writing& writing, Response& response) {
    for (CompletionAnswer::Choice& choice : writing.choices) {
      while (!choice.all.end) {
        if (auto piece = choice.writer->next(kLookForClient)) CompletionAnswer::add(choice, *std::move(piece));
        if (client_gone()) throw ApiError(499, "the client has gone");
      }
    }
    answer_json(response, writing.answer.whole(writing.choices));
  }

  static void stream(const std::shared_ptr<Writing>& writing, Response& response) {
    response.set_header("Cache-Control", "no-cache");
    response.set_chunked_content_provider(
        "text/event-stream",
        [writing](std::size_t /*offset*/, httplib::DataSink& sink) { return write_some(*writing, sink); },
        [writing](bool /*whole*/) { writing->choices[0].writer->leave(); });
  }

  /// What is new since the last call; false where nobody listens.
  static bool write_some(Writing& writing, httplib::DataSink& sink) {
    CompletionAnswer::Choice& choice = writing.choices[0];
    std::string events;
    if (!std::exchange(writing.begun, true)) events = writing.answer.first_events(choice);
    std::optional<AnswerPiece> piece = choice.writer->next(kLookForClient);
    if (client_gone()) return false;
    bool last = false;
    if (piece) {
      last = piece->end.has_value();
      try {
        CompletionAnswer::add(choice, *piece);
        events += writing.answer.events(choice, *piece);
      } catch (const ApiError& error) {
        events += CompletionAnswer::problem_events(error.json());
      }
    }
    if (!events.empty() && !sink.write(events.data(), events.size())) return false;
    if (last) sink.done();
    return true;
  }

  const ServedModel& model_;
  Scheduler& scheduler_;
  const ServeDefaults& defaults_;
  bool chat_;
};

Json model_json(const ServedModel& model, const std::string& name, const ServeDefaults& defaults) {
  const auto hypothesis = model.names().at(name);
  Json json = {{"id", name},
               {"object", "model"},
               {"created", model.record().created_ms / 1000},
               {"owned_by", "mformer"},
               {"root", to_string(model.record())},
               {"max_model_len", defaults.context}};
  json["mformer"] = {{"hash", model.record().hash},
                     {"hypothesis", hypothesis ? Json(model.hypotheses()[*hypothesis]) : Json(nullptr)},
                     {"chat", model.chats()}};
  return json;
}

void list_models(WebServer& server, const ServedModel& model, const ServeDefaults& defaults) {
  server.on_get("/v1/models", [&](const Request&, Response& response) {
    Json list = Json::array();
    for (const auto& [name, hypothesis] : model.names()) list.push_back(model_json(model, name, defaults));
    answer_json(response, {{"object", "list"}, {"data", list}});
  });
  server.on_get("/v1/models/([^/]+)", [&](const Request& request, Response& response) {
    const std::string name = request.matches[1];
    if (model.names().count(name) == 0) throw ApiError(404, "there is no such model", "model_not_found");
    answer_json(response, model_json(model, name, defaults));
  });
}

void show_report(WebServer& server, LiveReport& report) {
  server.on_get("/", [&](const Request&, Response& response) {
    const std::shared_ptr<const std::string> page = report.page();
    response.set_header("Cache-Control", "no-store");
    response.set_header("X-Content-Type-Options", "nosniff");
    response.set_content(*page, "text/html; charset=utf-8");
  });
}

}  // namespace

void add_endpoints(WebServer& server, const ServedModel& model, Scheduler& scheduler, const ServeDefaults& defaults,
                   LiveReport& report) {
  list_models(server, model, defaults);
  for (const bool chat : {false, true}) {
    server.on_post(chat ? "/v1/chat/completions" : "/v1/completions",
                   [completions = Completions(model, scheduler, defaults, chat)](
                       const Request& request, Response& response) { completions.answer(request, response); });
  }
  server.on_get("/health", [&](const Request&, Response& response) {
    if (server.stopping()) throw ApiError(503, "the server is stopping");
    answer_json(response, {{"status", "ok"}});
  });
  server.on_get("/metrics", [&](const Request&, Response& response) {
    response.set_content(metrics_text(scheduler.figures(), server), "text/plain; version=0.0.4; charset=utf-8");
  });
  show_report(server, report);
}

}  // namespace mformer::cli
