#include "core/workflows/reader_files.h"

#include <nlohmann/json.hpp>
#include <optional>

#include "core/formats/chat_format.h"
#include "core/formats/generation_config.h"
#include "core/text/utf8.h"
#include "core/workflows/generate.h"

namespace mformer {
namespace {

/// The name of a token in tokenizer.json: of added tokens it is what they decode to.
std::optional<std::string> token_name(const Tokenizer& tokenizer, std::int64_t id) {
  if (id < 0 || id >= tokenizer.vocab_size()) return std::nullopt;
  const auto token = static_cast<std::int32_t>(id);
  const std::string name = tokenizer.decode(std::span(&token, 1));
  if (name.empty() || utf8_valid_prefix(name) != name.size() || tokenizer.id_of(name) != token) return std::nullopt;
  return name;
}

std::string tokenizer_config(const Tokenizer& tokenizer, const ModelConfig& config) {
  const std::vector<std::int32_t> ends = end_tokens(tokenizer, config);
  nlohmann::ordered_json document = {{"tokenizer_class", "PreTrainedTokenizerFast"},
                                     {"model_max_length", config.block_size},
                                     {"clean_up_tokenization_spaces", false},
                                     // Transformers 4 would also give token_type_ids, which no such model takes.
                                     {"model_input_names", {"input_ids", "attention_mask"}}};
  if (const auto end = ends.empty() ? std::nullopt : token_name(tokenizer, ends.front())) document["eos_token"] = *end;
  if (const auto begin = token_name(tokenizer, config.bos_token_id)) document["bos_token"] = *begin;
  if (const auto format = chat_format_of(config)) {
    for (const auto& [name, token] : format->tokens) {
      if (tokenizer.id_of(token)) document[name] = token;
    }
    document["chat_template"] = format->template_text;
  }
  return document.dump(2) + "\n";
}

}  // namespace

std::map<std::string, std::string> reader_files(const LoadedVersion& version) {
  std::map<std::string, std::string> files = chat_files(version.model.config);
  ModelConfig config = version.model.config;
  if (version.tokenizer) {
    const std::vector<std::int32_t> ends = end_tokens(*version.tokenizer, config);
    if (!ends.empty()) config.set_end_tokens({ends.begin(), ends.end()});
    files["tokenizer_config.json"] = tokenizer_config(*version.tokenizer, version.model.config);
  }
  files["generation_config.json"] = generation_config_json(config);
  return files;
}

}  // namespace mformer
