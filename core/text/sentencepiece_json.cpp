#include "core/text/sentencepiece_json.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "core/formats/input_file.h"
#include "core/formats/stand_in.h"
#include "core/text/bpe_model.h"
#include "core/text/json_fields.h"
#include "core/text/utf8.h"
#include "modules_registry/error.h"
#include "modules_registry/files.h"
#include "modules_registry/printable.h"

namespace mformer {
namespace {

using Object = nlohmann::ordered_json;
using PieceType = SentencePieceModel::PieceType;
using Merges = std::vector<std::pair<std::string, std::string>>;

// Pieces have some tens of bytes. A longer one would take the square of its length.
constexpr size_t kLongestPiece = 4096;

/// Refuses what a tokenizer.json with merges can't say.
void check_kind(const SentencePieceModel& model, const std::string& name) {
  const auto refuse = [&](const std::string& what) {
    throw Error("'" + name + "' " + what + ", which is not supported", "docs/tokenizer.md lists what is supported");
  };
  if (model.model_type != 2) refuse("is a model of sentencepiece, but not of the kind BPE");
  if (!model.normalization.empty()) refuse("replaces characters before it encodes (precompiled_charsmap)");
  if (!model.escape_whitespaces) refuse("keeps spaces as they are (escape_whitespaces)");
  if (model.whitespace_as_suffix) refuse("has spaces behind words (treat_whitespace_as_suffix)");
  for (const auto& piece : model.pieces) {
    if (piece.type == PieceType::unused) refuse("has the unused piece '" + cut(printable(piece.text), 60) + "'");
    // The library keeps such spaces in a text and takes all others away.
    const bool keeps_spaces = piece.type == PieceType::user_defined && piece.text.find("▁▁") != std::string::npos;
    if (model.remove_extra_whitespaces && keeps_spaces) refuse("removes extra spaces, and has a piece of several");
    if (piece.text.size() > kLongestPiece) refuse("has a piece of " + std::to_string(piece.text.size()) + " bytes");
  }
}

/// Tokens may have been given other names after training.
void rename_pieces(SentencePieceModel& model, const SentencePieceSettings& settings, const std::string& name) {
  for (const auto& [id, token] : settings.added) {
    if (static_cast<size_t>(id) < model.pieces.size()) model.pieces[static_cast<size_t>(id)].text = token.content;
  }
  std::unordered_set<std::string_view> names;
  for (const auto& piece : model.pieces) {
    if (names.insert(piece.text).second) continue;
    throw Error("'" + name + "' has the piece '" + cut(printable(piece.text), 60) + "' twice with its added tokens",
                "look at added_tokens_decoder in tokenizer_config.json");
  }
}

/// Sentencepiece joins whatever neighbours make a piece, the best score first.
Merges merges_of(const SentencePieceModel& model) {
  std::unordered_set<std::string_view> normal;
  for (const auto& piece : model.pieces) {
    if (piece.type == PieceType::normal) normal.insert(piece.text);
  }
  std::vector<size_t> order;
  for (size_t id = 0; id < model.pieces.size(); ++id) {
    if (model.pieces[id].type == PieceType::normal) order.push_back(id);
  }
  std::ranges::stable_sort(order, std::greater<>{}, [&](size_t id) { return model.pieces[id].score; });
  Merges merges;
  for (const size_t id : order) {
    const std::string_view text = model.pieces[id].text;
    for (size_t at = utf8_length(text); at < text.size(); at += utf8_length(text.substr(at))) {
      const auto left = text.substr(0, at);
      const auto right = text.substr(at);
      if (normal.contains(left) && normal.contains(right)) merges.emplace_back(left, right);
    }
  }
  return merges;
}

Object added_token_json(const AddedToken& token) {
  return {{"id", token.id},          {"content", token.content}, {"single_word", token.single_word},
          {"lstrip", token.lstrip},  {"rstrip", token.rstrip},   {"normalized", token.normalized},
          {"special", token.special}};
}

Object added_tokens_json(const SentencePieceModel& model, const SentencePieceSettings& settings) {
  std::map<int32_t, AddedToken> added = settings.added;
  for (size_t id = 0; id < model.pieces.size(); ++id) {
    const auto& piece = model.pieces[id];
    if (piece.type != PieceType::control && piece.type != PieceType::unknown) continue;
    const AddedToken token{.id = static_cast<int32_t>(id), .content = piece.text, .special = true, .normalized = false};
    added.emplace(token.id, token);
  }
  Object list = Object::array();
  for (const auto& [id, token] : added) list.push_back(added_token_json(token));
  return list;
}

Object replace_step(const char* kind, const std::string& pattern, const std::string& content) {
  return {{"type", "Replace"}, {"pattern", {{kind, pattern}}}, {"content", content}};
}

Object sequence(const char* list, Object steps) {
  return {{"type", "Sequence"}, {list, std::move(steps)}};
}

Object normalizer_json(const SentencePieceModel& model, bool prefix, bool legacy) {
  Object steps = Object::array();
  if (model.remove_extra_whitespaces) {
    // At the end the library takes what stands for a space for one.
    steps.push_back(replace_step("Regex", R"(\A +|[ ▁]+\z)", ""));
    steps.push_back(replace_step("Regex", " {2,}", " "));
  }
  if (legacy && prefix) steps.push_back({{"type", "Prepend"}, {"prepend", "▁"}});
  if (legacy || !prefix) steps.push_back(replace_step("String", " ", "▁"));
  if (steps.empty()) return nullptr;
  return sequence("normalizers", std::move(steps));
}

/// Pieces that are named by users are tokens wherever they stand in a text, the longest first.
std::string pattern_of_user_pieces(const SentencePieceModel& model, const SentencePieceSettings& settings) {
  std::vector<std::string_view> texts;
  for (size_t id = 0; id < model.pieces.size(); ++id) {
    const bool added = settings.added.contains(static_cast<int32_t>(id));
    if (model.pieces[id].type == PieceType::user_defined && !added) texts.push_back(model.pieces[id].text);
  }
  std::ranges::stable_sort(texts, std::greater<>{}, [](std::string_view text) { return text.size(); });
  std::string pattern;
  for (const std::string_view text : texts) {
    if (!pattern.empty()) pattern += '|';
    for (const char byte : text) {
      if (std::ispunct(static_cast<unsigned char>(byte)) != 0) pattern += '\\';
      pattern += byte;
    }
  }
  return pattern;
}

Object pre_tokenizer_json(const std::string& user_pieces, bool prefix, bool legacy) {
  Object steps = Object::array();
  if (!legacy && prefix) {
    steps.push_back({{"type", "Metaspace"}, {"replacement", "▁"}, {"prepend_scheme", "first"}, {"split", false}});
  }
  if (!user_pieces.empty()) {
    steps.push_back(
        {{"type", "Split"}, {"pattern", {{"Regex", user_pieces}}}, {"behavior", "Isolated"}, {"invert", false}});
  }
  if (steps.empty()) return nullptr;
  return sequence("pretokenizers", std::move(steps));
}

Object decoder_json(const SentencePieceModel& model, bool prefix) {
  Object steps = Object::array();
  steps.push_back(replace_step("String", "▁", " "));
  if (model.byte_fallback) steps.push_back({{"type", "ByteFallback"}});
  steps.push_back({{"type", "Fuse"}});
  if (prefix) steps.push_back({{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}});
  return sequence("decoders", std::move(steps));
}

/// The begin and end tokens around a text.
class Frame {
 public:
  Frame(const SentencePieceModel& model, const SentencePieceSettings& settings, const std::string& name)
      : model_(model), settings_(settings), name_(name) {}

  Object json() {
    Object single = Object::array();
    Object tokens = Object::object();
    if (settings_.add_bos) add(settings_.bos, model_.bos_id, "add_bos_token", single, tokens);
    single.push_back({{"Sequence", {{"id", "A"}, {"type_id", 0}}}});
    if (settings_.add_eos) add(settings_.eos, model_.eos_id, "add_eos_token", single, tokens);
    if (tokens.empty()) return nullptr;
    Object pair = single;
    for (Object piece : single) {
      if (piece.contains("Sequence")) piece["Sequence"]["id"] = "B";
      pair.push_back(std::move(piece));
    }
    return {{"type", "TemplateProcessing"}, {"single", single}, {"pair", pair}, {"special_tokens", tokens}};
  }

 private:
  void add(const std::optional<std::string>& named, int64_t id, const char* flag, Object& single,
           Object& tokens) const {
    std::string token = named.value_or("");
    if (named && token.empty()) return;
    if (!named) {
      if (id < 0 || static_cast<size_t>(id) >= model_.pieces.size()) return;
      token = model_.pieces[static_cast<size_t>(id)].text;
    }
    single.push_back({{"SpecialToken", {{"id", token}, {"type_id", 0}}}});
    tokens[token] = {{"id", token}, {"ids", {id_of(token, flag)}}, {"tokens", {token}}};
  }

  int32_t id_of(const std::string& token, const char* flag) const {
    for (size_t id = 0; id < model_.pieces.size(); ++id) {
      if (model_.pieces[id].text == token) return static_cast<int32_t>(id);
    }
    for (const auto& [id, added] : settings_.added) {
      if (added.content == token) return id;
    }
    throw Error("'" + name_ + "' has no token '" + cut(printable(token), 60) + "', which is to stand around each text",
                std::string("say \"") + flag + "\": false in tokenizer_config.json, or name the token there");
  }

  const SentencePieceModel& model_;
  const SentencePieceSettings& settings_;
  const std::string& name_;
};

Object bpe_json(const SentencePieceModel& model, bool ignore_merges) {
  Object vocab = Object::object();
  auto& entries = static_cast<std::vector<std::pair<const std::string, Object>>&>(vocab.get_ref<Object::object_t&>());
  for (size_t id = 0; id < model.pieces.size(); ++id) entries.emplace_back(model.pieces[id].text, id);
  Object merges = Object::array();
  for (const auto& [left, right] : merges_of(model)) merges.push_back({left, right});
  std::string unknown = model.unknown_piece;
  for (const auto& piece : model.pieces) {
    if (piece.type == PieceType::unknown) unknown = piece.text;
  }
  return {{"type", "BPE"},
          {"dropout", nullptr},
          {"unk_token", unknown},
          {"continuing_subword_prefix", nullptr},
          {"end_of_word_suffix", nullptr},
          {"fuse_unk", true},
          {"byte_fallback", model.byte_fallback},
          {"ignore_merges", ignore_merges},
          {"vocab", std::move(vocab)},
          {"merges", std::move(merges)}};
}

}  // namespace

std::string sentencepiece_to_tokenizer_json(const SentencePieceModel& original, const SentencePieceSettings& settings,
                                            const std::string& name) {
  check_kind(original, name);
  SentencePieceModel model = original;
  rename_pieces(model, settings, name);
  const bool prefix = settings.add_prefix_space.value_or(model.add_dummy_prefix);
  // What removes spaces moves a text's start, which "first" asks for.
  const bool legacy = settings.legacy || model.remove_extra_whitespaces;
  const std::string user_pieces = pattern_of_user_pieces(model, settings);
  const Object file = {{"version", "1.0"},
                       {"truncation", nullptr},
                       {"padding", nullptr},
                       {"added_tokens", added_tokens_json(model, settings)},
                       {"normalizer", normalizer_json(model, prefix, legacy)},
                       {"pre_tokenizer", pre_tokenizer_json(user_pieces, prefix, legacy)},
                       {"post_processor", Frame(model, settings, name).json()},
                       {"decoder", decoder_json(model, prefix)},
                       {"model", bpe_json(model, !user_pieces.empty())}};
  return file.dump(1) + "\n";
}

std::string convert_sentencepiece_file(const std::filesystem::path& file) {
  refuse_stand_in_at(file.string());
  const SentencePieceModel model =
      parse_sentencepiece_model(read_bounded_file(file, kMostTokenizerBytes, "a tokenizer"), file.string());
  return sentencepiece_to_tokenizer_json(model, read_sentencepiece_settings(file.parent_path()), file.string());
}

}  // namespace mformer
