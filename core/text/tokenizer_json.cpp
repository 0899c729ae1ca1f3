#include "core/text/tokenizer_json.h"

#include <algorithm>
#include <array>
#include <optional>
#include <unordered_set>
#include <utility>

#include "core/text/json_fields.h"
#include "modules_registry/error.h"

namespace mformer {
namespace {

using nlohmann::json;

// A lying id must not make us allocate a table of billions of tokens.
constexpr int64_t kMostIds = 1 << 24;

TokenIds read_vocabulary(const JsonFields& model) {
  const json& vocab = model.at("vocab");
  if (!vocab.is_object() || vocab.empty()) model.refuse("vocab", "must be an object of tokens and ids");
  TokenIds ids;
  std::unordered_set<int64_t> taken;
  for (const auto& [token, id] : vocab.items()) {
    if (!id.is_number_integer() || id < 0 || id >= kMostIds) {
      model.refuse("vocab", "gives the token '" + token + "' the id " + shown(id));
    }
    if (!taken.insert(id.get<int64_t>()).second) model.refuse("vocab", "gives two tokens the id " + shown(id));
    ids.emplace(token, id.get<int32_t>());
  }
  return ids;
}

std::pair<std::string, std::string> read_merge(const JsonFields& model, const json& merge) {
  if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
    return {merge[0].get<std::string>(), merge[1].get<std::string>()};
  }
  if (merge.is_string()) {
    const auto text = merge.get<std::string>();
    const size_t space = text.find(' ');
    if (space != std::string::npos && text.find(' ', space + 1) == std::string::npos) {
      return {text.substr(0, space), text.substr(space + 1)};
    }
  }
  model.refuse("merges", R"(must hold "a b" or ["a", "b"], not )" + shown(merge));
}

std::vector<std::pair<std::string, std::string>> read_merges(const JsonFields& model) {
  const json& list = model.at("merges");
  if (!list.is_array()) model.refuse("merges", "must be a list");
  std::vector<std::pair<std::string, std::string>> merges;
  merges.reserve(list.size());
  for (const json& merge : list) {
    const bool heading = merge.is_string() && merge.get_ref<const std::string&>().starts_with("#version");
    if (!heading) merges.push_back(read_merge(model, merge));
  }
  return merges;
}

BpeModel read_model(const JsonFields& model) {
  model.allow_only({"type", "vocab", "merges", "dropout", "unk_token", "continuing_subword_prefix",
                    "end_of_word_suffix", "fuse_unk", "byte_fallback", "ignore_merges"});
  if (const auto type = model.text("type", "BPE"); type != "BPE") model.refuse("type", "is '" + type + "', not 'BPE'");
  if (!model.at("dropout").is_null()) model.refuse("dropout", "is not supported");
  for (const auto* affix : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    if (!model.text(affix, "").empty()) model.refuse(affix, "is not supported: byte-level tokens have none");
  }
  BpeModel bpe = [&] {
    try {
      return BpeModel(read_vocabulary(model), read_merges(model), model.flag("ignore_merges", false));
    } catch (const Error& error) {
      if (std::string_view(error.what()).starts_with("'")) throw;
      throw Error("'" + model.file() + "': " + error.what());
    }
  }();
  // Both only matter for bytes that have no token.
  bool all_bytes = true;
  for (unsigned byte = 0; byte < 256; ++byte) all_bytes &= bpe.byte_id(static_cast<uint8_t>(byte)) >= 0;
  if (!all_bytes && !model.text("unk_token", "").empty()) model.refuse("unk_token", "is not supported");
  if (!all_bytes && model.flag("byte_fallback", false)) model.refuse("byte_fallback", "is not supported");
  return bpe;
}

Regex read_pattern(const JsonFields& step) {
  const JsonFields pattern = step.object("pattern");
  pattern.allow_only({"Regex", "String"});
  try {
    if (pattern.at("Regex").is_string()) return Regex(pattern.text("Regex", ""));
    if (const auto text = pattern.text("String", ""); !text.empty()) return Regex::literal(text);
  } catch (const Error& error) {
    step.refuse("pattern", std::string("can't be used: ") + error.what());
  }
  step.refuse("pattern", R"(must be {"Regex": …} or {"String": …})");
}

void read_split(const JsonFields& step, PreTokenizer& out) {
  step.allow_only({"type", "pattern", "behavior", "invert"});
  const bool invert = step.flag("invert", false);
  const auto behavior = step.text("behavior", "");
  if (behavior == "Isolated") {
    out.add_isolated(read_pattern(step));
  } else if (behavior == "Removed") {
    out.add_removed(read_pattern(step), invert);
  } else {
    step.refuse("behavior", "is '" + behavior + "', not 'Isolated' or 'Removed'");
  }
}

void read_byte_level(const JsonFields& step, PreTokenizer& out) {
  step.allow_only({"type", "add_prefix_space", "trim_offsets", "use_regex"});
  if (step.flag("add_prefix_space", true)) out.add_prefix_space();
  if (step.flag("use_regex", true)) out.add_isolated(Regex(kGpt2Pattern));
}

/// Adds one step; true when it was the ByteLevel step, after which text is no longer text.
bool read_step(const JsonFields& step, PreTokenizer& out) {
  const auto type = step.text("type", "");
  if (type == "ByteLevel") {
    read_byte_level(step, out);
    return true;
  }
  if (type == "Split") {
    read_split(step, out);
  } else if (type == "Digits") {
    step.allow_only({"type", "individual_digits"});
    out.add_isolated(Regex(step.flag("individual_digits", false) ? R"(\p{N})" : R"(\p{N}+)"));
  } else {
    step.refuse("type", "is '" + type + "', which is not supported");
  }
  return false;
}

PreTokenizer read_pre_tokenizer(const JsonFields& root) {
  const JsonFields outer = root.object("pre_tokenizer");
  PreTokenizer out;
  bool complete = false;
  if (outer.text("type", "") != "Sequence") {
    complete = read_step(outer, out);
  } else {
    outer.allow_only({"type", "pretokenizers"});
    if (!outer.at("pretokenizers").is_array()) outer.refuse("pretokenizers", "must be a list");
    size_t index = 0;
    for (const json& step : outer.at("pretokenizers")) {
      const auto path = outer.path_of("pretokenizers") + "[" + std::to_string(index++) + "]";
      if (complete) outer.refuse("pretokenizers", "has a step after ByteLevel, which is not supported");
      complete = read_step(JsonFields(step, root.file(), path), out);
    }
  }
  if (!complete) root.refuse("pre_tokenizer", "has no ByteLevel step");
  return out;
}

AddedToken read_added_token(const JsonFields& fields) {
  fields.allow_only({"id", "content", "single_word", "lstrip", "rstrip", "normalized", "special"});
  AddedToken token;
  const json& id = fields.at("id");
  if (!id.is_number_integer() || id < 0 || id >= kMostIds) fields.refuse("id", "is no id: " + shown(id));
  token.id = id.get<int32_t>();
  token.content = fields.text("content", "");
  token.special = fields.flag("special", false);
  token.single_word = fields.flag("single_word", false);
  token.lstrip = fields.flag("lstrip", false);
  token.rstrip = fields.flag("rstrip", false);
  token.normalized = fields.flag("normalized", !token.special);
  return token;
}

/// The package numbers added tokens itself: those of the vocabulary by their id there, others in order after it. A file
/// that says otherwise means one thing to the reader and another to the package.
std::vector<AddedToken> read_added_tokens(const JsonFields& root, const TokenIds& vocabulary) {
  const json& list = root.at("added_tokens");
  if (!list.is_null() && !list.is_array()) root.refuse("added_tokens", "must be a list");
  std::vector<AddedToken> tokens;
  std::unordered_set<std::string> seen;
  auto next = static_cast<int32_t>(vocabulary.size());
  size_t index = 0;
  for (const json& entry : list) {
    const JsonFields fields(entry, root.file(), "added_tokens[" + std::to_string(index++) + "]");
    AddedToken token = read_added_token(fields);
    if (token.content.empty()) continue;
    if (!seen.insert(token.content).second) fields.refuse("content", "repeats the token '" + token.content + "'");
    const auto known = vocabulary.find(token.content);
    const int32_t expected = known != vocabulary.end() ? known->second : next;
    if (token.id != expected) {
      fields.refuse("id", "is " + std::to_string(token.id) + ", but the vocabulary and the tokens before it make '" +
                              token.content + "' token " + std::to_string(expected));
    }
    next = std::max(next, token.id + 1);
    tokens.push_back(std::move(token));
  }
  return tokens;
}

void refuse_what_changes_text(const JsonFields& root) {
  root.allow_only({"version", "truncation", "padding", "added_tokens", "normalizer", "pre_tokenizer", "post_processor",
                   "decoder", "model"});
  for (const auto* name : {"truncation", "padding"}) {
    if (!root.at(name).is_null()) root.refuse(name, "is set, which is not supported: set it to null");
  }
  if (!root.at("normalizer").is_null()) {
    root.refuse("normalizer", "is '" + root.object("normalizer").text("type", "") + "', which is not supported");
  }
  if (!root.at("post_processor").is_null()) {
    const auto type = root.object("post_processor").text("type", "");
    if (type != "ByteLevel") root.refuse("post_processor", "is '" + type + "', not ByteLevel or null");
  }
  if (root.object("decoder").text("type", "") != "ByteLevel") root.refuse("decoder", "is not ByteLevel");
}

}  // namespace

TokenizerParts parse_tokenizer_json(const std::string& text, const std::string& name) {
  json document;
  try {
    document = json::parse(text);
  } catch (const json::exception& error) {
    throw Error("'" + name + "' is not JSON: " + error.what(), "a tokenizer.json of Hugging Face is expected");
  }
  const JsonFields root(document, name, "");
  if (root.at("model").is_null()) root.refuse("model", "is missing");
  refuse_what_changes_text(root);
  BpeModel model = read_model(root.object("model"));
  PreTokenizer pre_tokenizer = read_pre_tokenizer(root);
  std::vector<AddedToken> added = read_added_tokens(root, model.vocabulary());
  return {std::move(model), std::move(pre_tokenizer), std::move(added)};
}

std::string write_tokenizer_json(const std::vector<std::string>& tokens,
                                 const std::vector<std::pair<std::string, std::string>>& merges,
                                 size_t special_tokens) {
  using Object = nlohmann::ordered_json;
  const Object byte_level = {
      {"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", true}};
  Object added = Object::array();
  Object vocab = Object::object();
  auto& vocab_items = vocab.get_ref<Object::object_t&>();
  for (size_t id = 0; id < tokens.size(); ++id) {
    // Not through operator[], which looks for the name among all before it.
    static_cast<std::vector<std::pair<const std::string, Object>>&>(vocab_items).emplace_back(tokens[id], id);
    if (id >= special_tokens) continue;
    added.push_back({{"id", id},
                     {"content", tokens[id]},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"normalized", false},
                     {"special", true}});
  }
  Object merge_list = Object::array();
  for (const auto& [left, right] : merges) merge_list.push_back({left, right});
  const Object file = {{"version", "1.0"},
                       {"truncation", nullptr},
                       {"padding", nullptr},
                       {"added_tokens", added},
                       {"normalizer", nullptr},
                       {"pre_tokenizer", byte_level},
                       {"post_processor", byte_level},
                       {"decoder", byte_level},
                       {"model",
                        {{"type", "BPE"},
                         {"dropout", nullptr},
                         {"unk_token", nullptr},
                         {"continuing_subword_prefix", nullptr},
                         {"end_of_word_suffix", nullptr},
                         {"fuse_unk", false},
                         {"byte_fallback", false},
                         {"ignore_merges", false},
                         {"vocab", vocab},
                         {"merges", merge_list}}}};
  return file.dump(1) + "\n";
}

}  // namespace mformer
