#include <charconv>
#include <set>
#include <utility>

#include "core/formats/input_file.h"
#include "core/formats/stand_in.h"
#include "core/text/json_fields.h"
#include "core/text/sentencepiece_json.h"
#include "modules_registry/error.h"
#include "modules_registry/files.h"
#include "modules_registry/json_depth.h"

namespace mformer {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

/// The object in a file, or an empty one where there is no such file.
json read_optional_object(const fs::path& file) {
  std::error_code ignored;
  if (!fs::exists(file, ignored)) return json::object();
  refuse_stand_in_at(file.string());
  const std::string text = read_bounded_file(file, kMostJsonBytes, "a file of settings");
  constexpr int kMostLevels = 64;
  json object =
      json_deeper_than(text, kMostLevels) ? json(json::value_t::discarded) : json::parse(text, nullptr, false);
  if (object.is_object()) return object;
  throw Error("'" + file.string() + "' is no JSON object",
              "it stands beside tokenizer.model and decides about its ids");
}

/// A token is written as its name, or as an object with its flags; null, which is given as "", says that there is none.
std::optional<std::string> token_named(const json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end()) return std::nullopt;
  if (found->is_null()) return "";
  if (found->is_string()) return found->get<std::string>();
  if (found->is_object() && found->contains("content") && found->at("content").is_string()) {
    return found->at("content").get<std::string>();
  }
  return std::nullopt;
}

int32_t read_added_id(const std::string& text, const JsonFields& list) {
  int32_t id = -1;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), id);
  const bool whole = read.ec == std::errc() && read.ptr == text.data() + text.size();
  if (!whole || id < 0) list.refuse(text, "is no id");
  return id;
}

void read_added_tokens_decoder(const JsonFields& config, SentencePieceSettings& out) {
  const JsonFields list = config.object("added_tokens_decoder");
  for (const auto& [id, entry] : config.at("added_tokens_decoder").items()) {
    const JsonFields fields(entry, config.file(), list.path_of(id));
    AddedToken token;
    token.id = read_added_id(id, list);
    token.content = fields.text("content", "");
    token.special = fields.flag("special", false);
    token.single_word = fields.flag("single_word", false);
    token.lstrip = fields.flag("lstrip", false);
    token.rstrip = fields.flag("rstrip", false);
    token.normalized = fields.flag("normalized", !token.special);
    if (token.content.empty()) fields.refuse("content", "is missing");
    out.added[token.id] = token;
  }
}

/// Files of older versions name only the ids; what is special stands elsewhere.
void read_added_tokens_file(const fs::path& file, const std::set<std::string>& special, SentencePieceSettings& out) {
  const json object = read_optional_object(file);
  const JsonFields fields(object, file.string(), "");
  for (const auto& [content, id] : object.items()) {
    if (!id.is_number_integer() || id < 0 || id > INT32_MAX) fields.refuse(content, "has the id " + shown(id));
    AddedToken token;
    token.id = id.get<int32_t>();
    token.content = content;
    token.special = special.contains(content);
    token.normalized = !token.special;
    if (!out.added.emplace(token.id, token).second) fields.refuse(content, "has the id of another token");
  }
}

std::set<std::string> special_names(const json& config, const json& map) {
  std::set<std::string> names;
  for (const json& object : {config, map}) {
    for (const char* name :
         {"bos_token", "eos_token", "unk_token", "pad_token", "sep_token", "cls_token", "mask_token"}) {
      if (auto token = token_named(object, name)) names.insert(std::move(*token));
    }
    const auto more = object.find("additional_special_tokens");
    if (more == object.end() || !more->is_array()) continue;
    for (const json& token : *more) {
      if (auto text = token_named({{"token", token}}, "token")) names.insert(std::move(*text));
    }
  }
  return names;
}

}  // namespace

SentencePieceSettings read_sentencepiece_settings(const fs::path& folder) {
  const json config = read_optional_object(folder / "tokenizer_config.json");
  const json map = read_optional_object(folder / "special_tokens_map.json");
  const JsonFields fields(config, (folder / "tokenizer_config.json").string(), "");
  SentencePieceSettings out;
  out.add_bos = fields.flag("add_bos_token", out.add_bos);
  out.add_eos = fields.flag("add_eos_token", out.add_eos);
  out.legacy = fields.flag("legacy", out.legacy);
  if (!fields.at("add_prefix_space").is_null()) out.add_prefix_space = fields.flag("add_prefix_space", true);
  out.bos = config.contains("bos_token") ? token_named(config, "bos_token") : token_named(map, "bos_token");
  out.eos = config.contains("eos_token") ? token_named(config, "eos_token") : token_named(map, "eos_token");
  if (!fields.at("added_tokens_decoder").is_null()) {
    read_added_tokens_decoder(fields, out);
  } else {
    read_added_tokens_file(folder / "added_tokens.json", special_names(config, map), out);
  }
  return out;
}

}  // namespace mformer
