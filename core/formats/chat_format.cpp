#include "core/formats/chat_format.h"

#include <nlohmann/json.hpp>

#include "core/formats/input_file.h"
#include "core/formats/model_config.h"
#include "core/formats/quoted_name.h"
#include "core/formats/stand_in.h"
#include "modules_registry/error.h"
#include "modules_registry/files.h"

namespace mformer {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

/// Beside the fields that mformer does not know: every layout keeps those for the way back.
constexpr const char* kChatField = "mformer_chat";
constexpr const char* kTemplateFile = "chat_template.jinja";
constexpr const char* kSettingsFile = "tokenizer_config.json";
constexpr std::string_view kTokenSuffix = "_token";

bool is_utf8(const std::string& text) {
  try {
    return !json(text).dump().empty();
  } catch (const json::exception&) {
    return false;
  }
}

void require_template(const std::string& text, const std::string& source) {
  const char* hint = "take the template of a model that is known to chat, or remove it: the model then has none";
  if (text.empty()) throw Error(source + " holds an empty chat template", hint);
  if (text.size() > kLongestChatTemplate) {
    throw Error(source + " holds a chat template of " + std::to_string(text.size()) + " bytes; at most " +
                    std::to_string(kLongestChatTemplate) + " are read",
                hint);
  }
  if (!is_utf8(text)) throw Error(source + " holds a chat template that is no UTF-8 text", hint);
}

bool is_file_here(const fs::path& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored);
}

/// A token as tokenizer_config.json writes it: its name, or an object that has it as `content`.
std::optional<std::string> token_in(const json& value) {
  const auto content = value.is_object() ? value.find("content") : value.end();
  const json& name = value.is_object() && content != value.end() ? *content : value;
  return name.is_string() ? std::optional(name.get<std::string>()) : std::nullopt;
}

std::map<std::string, std::string> tokens_in(const json& settings) {
  std::map<std::string, std::string> tokens;
  for (const auto& [key, value] : settings.items()) {
    if (!key.ends_with(kTokenSuffix)) continue;  // add_bos_token is no name, and no text
    if (const auto name = token_in(value)) tokens[key] = *name;
  }
  return tokens;
}

/// Of a list of named templates the one that is called default.
std::optional<std::string> template_in(const json& settings, const std::string& source) {
  const auto field = settings.find("chat_template");
  if (field == settings.end() || field->is_null()) return std::nullopt;
  if (field->is_string()) return field->get<std::string>();
  const std::string where = source + ": 'chat_template' ";
  const char* hint = "correct it, or remove it: the model then has none";
  if (!field->is_array()) throw Error(where + "is neither a text nor a list of named ones", hint);
  for (const json& named : *field) {
    const bool whole =
        named.is_object() && named.value("name", json()).is_string() && named.value("template", json()).is_string();
    if (!whole) throw Error(where + "has an entry without a name and a template", hint);
    if (named.at("name") == "default") return named.at("template").get<std::string>();
  }
  return std::nullopt;
}

}  // namespace

std::optional<ChatFormat> chat_format_of(const ModelConfig& config) {
  const auto field = config.extra.find(kChatField);
  if (field == config.extra.end()) return std::nullopt;
  try {
    return ChatFormat{field->at("template").get<std::string>(),
                      field->at("tokens").get<std::map<std::string, std::string>>()};
  } catch (const json::exception&) {
    throw Error(std::string("the model's config has a field '") + kChatField + "' that is none of mformer's",
                "import the checkpoint again");
  }
}

void set_chat_format(ModelConfig& config, const std::optional<ChatFormat>& format, const std::string& source) {
  remove_chat_format(config);
  if (!format) return;
  require_template(format->template_text, source);
  json tokens = json::object();
  for (const auto& [name, token] : format->tokens) {
    if (is_utf8(name) && is_utf8(token)) tokens[name] = token;
  }
  config.extra[kChatField] = {{"template", format->template_text}, {"tokens", std::move(tokens)}};
}

void remove_chat_format(ModelConfig& config) {
  config.extra.erase(kChatField);
}

std::optional<ChatFormat> read_chat_format(const fs::path& folder) {
  const fs::path settings_file = folder / kSettingsFile, template_file = folder / kTemplateFile;
  json settings = json::object();
  if (is_file_here(settings_file)) {
    refuse_stand_in_at(settings_file.string());
    settings = parse_config_object(read_bounded_file(settings_file, kMostJsonBytes, "a file of settings"),
                                   settings_file.string());
  }
  const bool apart = is_file_here(template_file);
  std::optional<std::string> text =
      apart ? read_chat_template(template_file).template_text : template_in(settings, settings_file.string());
  if (!text) return std::nullopt;
  if (!apart) require_template(*text, settings_file.string());
  return ChatFormat{*std::move(text), tokens_in(settings)};
}

ChatFormat read_chat_template(const fs::path& file) {
  refuse_stand_in_at(file.string());
  ChatFormat format{read_bounded_file(file, kLongestChatTemplate, "a chat template"), {}};
  require_template(format.template_text, quoted_name(file.string()));
  return format;
}

std::map<std::string, std::string> chat_files(const ModelConfig& config) {
  const auto format = chat_format_of(config);
  if (!format) return {};
  return {{kTemplateFile, format->template_text}};
}

}  // namespace mformer
