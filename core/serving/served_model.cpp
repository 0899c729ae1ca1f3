#include "core/serving/served_model.h"

#include <ctime>
#include <utility>

#include "core/model/domains.h"
#include "core/workflows/generate.h"
#include "modules_registry/error.h"

namespace mformer {
namespace {

/// The names that lead to a model, and to each of its hypotheses: "base@3", "base", "base:german".
std::map<std::string, std::optional<std::size_t>> names_of(const VersionRecord& record, const std::string& name,
                                                           const std::vector<std::string>& hypotheses) {
  std::map<std::string, std::optional<std::size_t>> names;
  for (const std::string& model : {to_string(record), name}) {
    names.emplace(model, std::nullopt);
    if (hypotheses.size() == 1) continue;
    for (std::size_t h = 0; h < hypotheses.size(); ++h) names.emplace(model + ":" + hypotheses[h], h);
  }
  return names;
}

}  // namespace

ServedModel::ServedModel(LoadedVersion& version, const std::string& name)
    : record_(version.record),
      tokenizer_(require_tokenizer(version)),
      hypotheses_(mformer::hypotheses(version.model)),
      names_(names_of(record_, name, hypotheses_)),
      context_(version.model.config.block_size),
      rows_(version.model.config.vocab_size) {
  const ModelConfig& config = version.model.config;
  for (const std::int32_t id : end_tokens(tokenizer_, config)) ends_.push_back(id);
  if (const auto format = chat_format_of(config)) {
    chat_.emplace(with_token_names(*format, tokenizer_, config.bos_token_id, config.eos_token_id), tokenizer_,
                  "the chat template of " + to_string(record_), std::time(nullptr));
  }
}

ServedPrompt ServedModel::prompt(const std::string& text) const {
  const std::vector<std::int32_t> ids = tokenizer_.encode(text);
  const auto opening = tokenizer_.opening_of(ids);
  std::vector<std::int64_t> all{opening.begin(), opening.end()};
  all.insert(all.end(), ids.begin(), ids.end());
  ServedPrompt made = prompt(std::move(all));
  made.text = text;
  return made;
}

ServedPrompt ServedModel::prompt(std::vector<std::int64_t> ids) const {
  if (ids.empty() && ends_.empty()) {
    throw UsageError("a document can't begin from nothing: no token is known that stands between documents",
                     "give a prompt");
  }
  if (ids.empty()) ids.push_back(ends_.front());
  std::vector<std::int32_t> small;
  for (const std::int64_t id : ids) {
    if (id < 0 || id >= rows_)
      throw UsageError("the prompt has a token " + std::to_string(id) + ", which the model has not");
    small.push_back(static_cast<std::int32_t>(id));
  }
  return {tokenizer_.decode(small), std::move(ids), std::nullopt};
}

ServedPrompt ServedModel::chat(std::span<const ChatMessage> messages) const {
  if (!chat_) {
    throw Error("model '" + to_string(record_) + "' has no chat template",
                "without one a prompt can be continued as it stands, which is asked for as a completion");
  }
  if (messages.empty() || messages.back().role == "assistant") {
    throw UsageError("the conversation has no question at its end: there is nothing to answer");
  }
  ChatText written = chat_->write(messages, /*ask=*/true);
  const std::vector<std::int32_t> ids = encode_chat(tokenizer_, written);
  return {std::move(written.text), {ids.begin(), ids.end()}, tokenizer_.id_of(chat_->turn_end())};
}

}  // namespace mformer
