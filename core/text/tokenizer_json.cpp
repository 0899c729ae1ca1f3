#include "core/text/tokenizer_json.h"

#include <algorithm>
#include <array>
#include <optional>
#include <unordered_set>
#include <utility>
#include <vector>

#include "core/text/json_fields.h"
#include "core/text/pipeline_json.h"
#include "core/text/tokenizer_tables.h"
#include "modules_registry/error.h"
#include "modules_registry/json_depth.h"

namespace mformer {
namespace {

using nlohmann::json;

/// No id of a file of so many bytes is as large: there are tables by id, which a short file with a large one must not
/// make large. Each token takes some six bytes at least, so that of six ids one may be used.
int64_t most_ids(size_t bytes) {
  constexpr size_t kMost = 1 << 24, kAlways = 1 << 16;
  return static_cast<int64_t>(std::min(kMost, kAlways + bytes));
}

TokenIds read_vocabulary(const JsonFields& model, int64_t most) {
  const json& vocab = model.at("vocab");
  if (!vocab.is_object() || vocab.empty()) model.refuse("vocab", "must be an object of tokens and ids");
  TokenIds ids;
  ids.reserve(vocab.size());
  std::vector<bool> taken;
  for (const auto& [token, id] : vocab.items()) {
    if (!id.is_number_integer() || id < 0 || id >= most) {
      model.refuse("vocab", "gives the token '" + shown_pattern(token) + "' the id " + shown(id));
    }
    const auto number = id.get<size_t>();
    if (number >= taken.size()) taken.resize(number + 1);
    if (taken[number]) model.refuse("vocab", "gives two tokens the id " + shown(id));
    taken[number] = true;
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

/// `tables`: those of the document where they were read on the way; they are taken.
BpeModel read_model(const JsonFields& model, bool byte_level, TokenizerTables* tables, int64_t most) {
  model.allow_only({"type", "vocab", "merges", "dropout", "unk_token", "continuing_subword_prefix",
                    "end_of_word_suffix", "fuse_unk", "byte_fallback", "ignore_merges"});
  if (const auto type = model.text("type", "BPE"); type != "BPE") model.refuse("type", "is '" + type + "', not 'BPE'");
  if (!model.at("dropout").is_null() && model.at("dropout") != 0) model.refuse("dropout", "is not supported");
  for (const auto* affix : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    if (!model.text(affix, "").empty()) model.refuse(affix, "is not supported");
  }
  const BpeRules rules = {byte_level, model.flag("ignore_merges", false), model.flag("byte_fallback", false),
                          model.text("unk_token", ""), model.flag("fuse_unk", false)};
  BpeModel bpe = [&] {
    try {
      if (tables != nullptr) return BpeModel(std::move(tables->vocabulary), tables->merges, rules);
      return BpeModel(read_vocabulary(model, most), read_merges(model), rules);
    } catch (const Error& error) {
      if (std::string_view(error.what()).starts_with("'")) throw;
      throw Error("'" + model.file() + "': " + error.what());
    }
  }();
  // The package fails once it needs such a token.
  if (!rules.unknown.empty() && !bpe.vocabulary().contains(rules.unknown) && !bpe.covers_all_text()) {
    model.refuse("unk_token", "is '" + shown_pattern(rules.unknown) + "', which is not in model.vocab");
  }
  return bpe;
}

AddedToken read_added_token(const JsonFields& fields, int64_t most) {
  fields.allow_only({"id", "content", "single_word", "lstrip", "rstrip", "normalized", "special"});
  AddedToken token;
  const json& id = fields.at("id");
  if (!id.is_number_integer() || id < 0 || id >= most) fields.refuse("id", "is no id: " + shown(id));
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
std::vector<AddedToken> read_added_tokens(const JsonFields& root, const TokenIds& vocabulary,
                                          const Normalizer& normalizer, int64_t most) {
  const json& list = root.at("added_tokens");
  if (!list.is_null() && !list.is_array()) root.refuse("added_tokens", "must be a list");
  std::vector<AddedToken> tokens;
  std::unordered_set<std::string> seen;
  std::unordered_set<std::string> looked_for;
  Regex::Scratch scratch;
  auto next = static_cast<int32_t>(vocabulary.size());
  size_t index = 0;
  for (const json& entry : list) {
    const JsonFields fields(entry, root.file(), "added_tokens[" + std::to_string(index++) + "]");
    AddedToken token = read_added_token(fields, most);
    if (token.content.empty()) continue;
    if (!seen.insert(token.content).second) fields.refuse("content", "repeats the token '" + token.content + "'");
    token.looked_for = token.content;
    if (token.normalized) {
      std::string memory;
      token.looked_for = std::string(normalizer.apply(token.content, TextPlace::at_start, memory, scratch));
      // Nothing, or which of two tokens, can't be found in a text: the package fails, or takes one by chance.
      if (token.looked_for.empty()) fields.refuse("content", "is nothing once it is normalised");
      if (!looked_for.insert(token.looked_for).second) {
        fields.refuse("content", "is normalised to '" + token.looked_for + "', like that of a token before it");
      }
    }
    const auto known = vocabulary.find(token.content);
    const int32_t expected = known != vocabulary.end() ? known->second : next;
    if (token.id != expected) {
      fields.refuse("id", "is " + std::to_string(token.id) + ", but the vocabulary and the tokens before it make '" +
                              token.content + "' token " + std::to_string(expected));
    }
    if (known == vocabulary.end()) ++next;
    tokens.push_back(std::move(token));
  }
  return tokens;
}

/// Cutting and filling up concern batches: a text by itself, shorter than the limit, has the same ids without them.
void check_batch_settings(const JsonFields& root) {
  for (const auto* name : {"truncation", "padding"}) {
    if (!root.at(name).is_null() && !root.at(name).is_object()) root.refuse(name, "must be an object or null");
  }
}

void check_frame(const JsonFields& root, const TokenFrame& frame, const TokenIds& vocabulary,
                 const std::vector<AddedToken>& added) {
  std::unordered_set<int32_t> known;
  for (const auto& [token, id] : vocabulary) known.insert(id);
  for (const AddedToken& token : added) known.insert(token.id);
  for (const auto& side : {frame.before, frame.after}) {
    for (const int32_t id : side) {
      if (!known.contains(id))
        root.refuse("post_processor", "adds token " + std::to_string(id) + ", which does not exist");
    }
  }
}

constexpr const char* kExpected = "a tokenizer.json of Hugging Face is expected";

void check_depth(const std::string& text, const std::string& name) {
  // The parser takes a byte 0 for the end, and what lies behind it would be read by others.
  if (const size_t zero = text.find('\0'); zero != std::string::npos) {
    throw Error("'" + name + "' is not JSON: an error at byte " + std::to_string(zero + 1), kExpected);
  }
  constexpr int kMostLevels = 64;
  if (json_deeper_than(text, kMostLevels)) {
    throw Error("'" + name + "' is nested too deeply for a tokenizer", kExpected);
  }
}

json parse_document(const std::string& text, const std::string& name) {
  try {
    return json::parse(text);
  } catch (const json::parse_error& error) {
    throw Error("'" + name + "' is not JSON: an error at byte " + std::to_string(error.byte), kExpected);
  } catch (const json::exception&) {
    throw Error("'" + name + "' is not JSON: a number beyond any range", kExpected);
  }
}

}  // namespace

TokenizerParts parse_tokenizer_json(const std::string& text, const std::string& name) {
  check_depth(text, name);
  const int64_t most = most_ids(text.size());
  std::optional<TokenizerTables> tables = read_tokenizer_tables(text, most);
  const json document = tables ? std::move(tables->rest) : parse_document(text, name);
  const JsonFields root(document, name, "");
  if (root.at("model").is_null()) root.refuse("model", "is missing");
  root.allow_only({"version", "truncation", "padding", "added_tokens", "normalizer", "pre_tokenizer", "post_processor",
                   "decoder", "model"});
  check_batch_settings(root);
  Normalizer normalizer = read_normalizer(root);
  TokenFrame frame = read_frame(root);
  ReadPreTokenizer words = read_pre_tokenizer(root);
  Decoder decoder = read_decoder(root);
  BpeModel model = read_model(root.object("model"), words.byte_level, tables ? &*tables : nullptr, most);
  std::vector<AddedToken> added = read_added_tokens(root, model.vocabulary(), normalizer, most);
  check_frame(root, frame, model.vocabulary(), added);
  return {std::move(model), std::move(normalizer), std::move(words.steps),
          std::move(added), std::move(frame),      std::move(decoder)};
}

nlohmann::ordered_json byte_bpe_json(nlohmann::ordered_json vocab, nlohmann::ordered_json merges, bool ignore_merges) {
  nlohmann::ordered_json model = {{"type", "BPE"},
                                  {"dropout", nullptr},
                                  {"unk_token", nullptr},
                                  {"continuing_subword_prefix", nullptr},
                                  {"end_of_word_suffix", nullptr},
                                  {"fuse_unk", false},
                                  {"byte_fallback", false},
                                  {"ignore_merges", ignore_merges}};
  model["vocab"] = std::move(vocab);
  model["merges"] = std::move(merges);
  return model;
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
                       {"model", byte_bpe_json(std::move(vocab), std::move(merge_list), false)}};
  return file.dump(1) + "\n";
}

}  // namespace mformer
