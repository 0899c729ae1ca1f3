#include "core/text/gguf_tokenizer_writer.h"

#include <map>
#include <nlohmann/json.hpp>
#include <unordered_map>
#include <unordered_set>

#include "core/formats/quoted_name.h"
#include "core/text/gguf_pre.h"
#include "core/text/sentencepiece_model.h"
#include "core/text/utf8.h"
#include "modules_registry/error.h"

namespace mformer {
namespace {

using Json = nlohmann::json;
using PieceType = SentencePieceModel::PieceType;

[[noreturn]] void refuse_tokenizer(const std::string& what) {
  throw Error("a GGUF file can't hold this model's tokenizer: " + what,
              "without --format gguf it is written as a folder, with its tokenizer.json");
}

/// A field that is null is as good as missing; that way it has its default below. As deep as a tokenizer may be.
void drop_nulls(Json& value) {
  if (value.is_object()) {
    for (auto field = value.begin(); field != value.end();) {
      field->is_null() ? void(field = value.erase(field)) : void(++field);
    }
  }
  if (!value.is_structured()) return;
  for (Json& part : value) drop_nulls(part);
}

/// The steps of a normalizer or pre_tokenizer, one after the other, with the fields that decide about ids.
Json steps_of_pipeline(const Json& pipeline) {
  Json steps = Json::array();
  if (pipeline.is_null()) return steps;
  if (pipeline.at("type") == "Sequence") {
    for (const char* list : {"pretokenizers", "normalizers"}) {
      for (const Json& inner : pipeline.value(list, Json::array())) {
        for (Json& step : steps_of_pipeline(inner)) steps.push_back(std::move(step));
      }
    }
    return steps;
  }
  Json step = pipeline;
  if (step.at("type") == "ByteLevel") {
    step = {{"type", "ByteLevel"},
            {"add_prefix_space", pipeline.value("add_prefix_space", true)},
            {"use_regex", pipeline.value("use_regex", true)}};
  } else if (step.at("type") == "Split") {
    step = {{"type", "Split"},
            {"pattern", pipeline.at("pattern")},
            {"behavior", pipeline.at("behavior")},
            {"invert", pipeline.value("invert", false)}};
  }
  steps.push_back(std::move(step));
  return steps;
}

Json field_of(const Json& file, const char* name) {
  return file.contains(name) ? file.at(name) : Json();
}

const GgufPre& pre_of(const Json& file) {
  const Json normal = steps_of_pipeline(field_of(file, "normalizer"));
  const Json words = steps_of_pipeline(field_of(file, "pre_tokenizer"));
  const bool whole = file.at("model").value("ignore_merges", false);
  const GgufPre* const found = find_gguf_pre([&](const GgufPre& pre) {
    return steps_of_pipeline(pre.normalizer()) == normal && steps_of_pipeline(pre.pre_tokenizer()) == words &&
           pre.ignore_merges == whole;
  });
  if (found == nullptr) refuse_tokenizer("it cuts words by rules that llama.cpp has no name for");
  return *found;
}

struct TokenList {
  std::vector<std::string> names;
  std::vector<std::int64_t> types;
};

void put_token(TokenList& list, std::int64_t id, const std::string& name, PieceType type) {
  if (id >= static_cast<std::int64_t>(list.names.size()))
    refuse_tokenizer("it has more tokens than the model has rows");
  list.names[static_cast<std::size_t>(id)] = name;
  list.types[static_cast<std::size_t>(id)] = static_cast<std::int64_t>(type);
}

/// All tokens by id; ids without one are filled up, as llama.cpp's converter does.
TokenList tokens_of(const Json& file, std::int64_t rows, bool bytes_are_tokens) {
  TokenList list;
  for (std::int64_t id = 0; id < rows; ++id) {
    list.names.push_back("[PAD" + std::to_string(id) + "]");
    list.types.push_back(static_cast<std::int64_t>(PieceType::unused));
  }
  const Json& model = file.at("model");
  const Json unknown = field_of(model, "unk_token");
  for (const auto& [name, id] : model.at("vocab").items()) {
    const bool is_byte = bytes_are_tokens && name.size() == 6 && name.starts_with("<0x") && name.ends_with('>');
    put_token(list, id, name,
              is_byte                               ? PieceType::byte
              : bytes_are_tokens && unknown == name ? PieceType::unknown
                                                    : PieceType::normal);
  }
  for (const Json& token : field_of(file, "added_tokens")) {
    const std::string name = token.value("content", "");
    if (name.empty()) continue;  // the package takes no notice of it either
    for (const char* flag : {"single_word", "lstrip", "rstrip"}) {
      if (token.value(flag, false)) refuse_tokenizer("its added token " + quoted_name(name) + " has the flag " + flag);
    }
    if (bytes_are_tokens && unknown == name) continue;
    put_token(list, token.at("id"), name, token.value("special", false) ? PieceType::control : PieceType::user_defined);
  }
  std::unordered_set<std::string_view> seen;
  for (const std::string& name : list.names) {
    if (!seen.insert(name).second) refuse_tokenizer("two of its tokens are called " + quoted_name(name));
  }
  return list;
}

std::pair<std::string, std::string> parts_of(const Json& merge) {
  if (merge.is_array()) return {merge.at(0), merge.at(1)};
  const std::string text = merge;
  const std::size_t space = text.find(' ');
  return {text.substr(0, space), text.substr(space + 1)};
}

std::vector<std::string> merge_texts_of(const Json& model) {
  std::vector<std::string> merges;
  for (const Json& merge : model.at("merges")) {
    const auto [left, right] = parts_of(merge);
    if (left.find(' ') != std::string::npos || right.find(' ') != std::string::npos) {
      refuse_tokenizer("a merge of it has a space");
    }
    merges.push_back(left + " " + right);
  }
  return merges;
}

/// Scores by which sentencepiece's rule, join the neighbours that make the best piece, is that of the merges. They must
/// be all pairs of a piece one after the other.
std::vector<double> scores_of(const Json& model, const TokenList& tokens) {
  std::unordered_map<std::string, std::size_t> pairs, ids;
  std::vector<double> scores(tokens.names.size(), 0);
  for (std::size_t id = 0; id < tokens.names.size(); ++id) ids[tokens.names[id]] = id;
  std::string last;
  double rank = 0;
  for (const Json& merge : model.at("merges")) {
    const auto [left, right] = parts_of(merge);
    const std::string piece = left + right;
    if (piece != last && pairs.contains(piece)) refuse_tokenizer("its merges are in no order of pieces");
    if (piece != last) scores[ids.at(piece)] = -(rank += 1);
    ++pairs[piece];
    last = piece;
  }
  const auto is_normal = [&](const std::string& name) {
    const auto found = ids.find(name);
    return found != ids.end() && tokens.types[found->second] == static_cast<std::int64_t>(PieceType::normal);
  };
  for (std::size_t id = 0; id < tokens.names.size(); ++id) {
    const std::string& name = tokens.names[id];
    if (!is_normal(name)) continue;
    std::size_t possible = 0;
    for (std::size_t at = utf8_length(name); at > 0 && at < name.size(); at += utf8_length(name.substr(at))) {
      possible += is_normal(name.substr(0, at)) && is_normal(name.substr(at)) ? 1 : 0;
    }
    if (possible != pairs[name]) refuse_tokenizer("its merges are not all pairs of pieces that make a third");
    if (possible == 0) scores[id] = -(rank += 1);
  }
  return scores;
}

bool is_sentencepiece(const Json& file) {
  const Json normal = steps_of_pipeline(field_of(file, "normalizer"));
  const bool spaces = !normal.empty() && normal.back().at("type") == "Replace" && normal.back().at("content") == "▁";
  return spaces && field_of(file, "pre_tokenizer").is_null();
}

/// Whether a space stands before each text.
bool has_space_prefix(const Json& file) {
  const Json normal = steps_of_pipeline(field_of(file, "normalizer"));
  const Json space = {{"String", " "}};
  if (normal.size() == 1 && normal[0].at("pattern") == space) return false;
  const bool usual = normal.size() == 2 && normal[0].at("type") == "Prepend" && normal[0].at("prepend") == "▁" &&
                     normal[1].at("pattern") == space;
  if (!usual) refuse_tokenizer("it changes texts by other rules than sentencepiece's usual ones");
  return true;
}

class TokenizerMetadata {
 public:
  explicit TokenizerMetadata(GgufMetadata& metadata) : metadata_(metadata) {}

  template <class Value>
  void put(const char* key, Value value) {
    metadata_[std::string("tokenizer.ggml.") + key] = std::move(value);
  }

  void put_id(const char* key, std::int64_t id) {
    if (id >= 0) put(key, id);
  }

 private:
  GgufMetadata& metadata_;
};

void put_frame(const TokenFrame& frame, const GgufTokenIds& ids, TokenizerMetadata& keys) {
  constexpr const char* kEnds[] = {"eos_token_id", "eot_token_id", "eom_token_id"};
  for (std::size_t i = 0; i < ids.ends.size() && i < std::size(kEnds); ++i) keys.put_id(kEnds[i], ids.ends[i]);
  keys.put_id("bos_token_id", frame.before.empty() ? ids.begin : frame.before.front());
  const bool fits = frame.before.size() <= 1 && frame.after.size() <= 1;
  const bool ends = frame.after.empty() || (!ids.ends.empty() && frame.after.front() == ids.ends.front());
  if (!fits || !ends) refuse_tokenizer("it puts other tokens around a text than one that begins and one that ends it");
  keys.put("add_bos_token", !frame.before.empty());
  keys.put("add_eos_token", !frame.after.empty());
}

}  // namespace

void put_gguf_tokenizer(const Tokenizer& tokenizer, const GgufTokenIds& ids, GgufMetadata& metadata) {
  Json file = Json::parse(tokenizer.to_json());
  drop_nulls(file);
  const Json& model = file.at("model");
  TokenizerMetadata keys(metadata);
  const bool sentencepiece = is_sentencepiece(file);
  TokenList tokens = tokens_of(file, ids.rows, sentencepiece);
  keys.put("model", std::string(sentencepiece ? "llama" : "gpt2"));
  keys.put("pre", std::string(sentencepiece ? "default" : pre_of(file).name));
  keys.put("add_space_prefix", sentencepiece && has_space_prefix(file));
  if (sentencepiece) {
    if (!model.value("byte_fallback", false)) refuse_tokenizer("what has no token does not become bytes");
    keys.put("scores", scores_of(model, tokens));
  } else {
    keys.put("merges", merge_texts_of(model));
  }
  const Json unknown = field_of(model, "unk_token");
  if (unknown.is_string()) keys.put_id("unknown_token_id", tokenizer.id_of(unknown.get<std::string>()).value_or(-1));
  keys.put("tokens", std::move(tokens.names));
  keys.put("token_type", std::move(tokens.types));
  put_frame(tokenizer.frame(), ids, keys);
}

}  // namespace mformer
