#include "core/text/gguf_tokenizer.h"

#include <nlohmann/json.hpp>
#include <unordered_set>
#include <utility>
#include <vector>

#include "core/formats/quoted_name.h"
#include "core/text/gguf_pre.h"
#include "core/text/sentencepiece_json.h"
#include "core/text/tokenizer_json.h"
#include "modules_registry/error.h"

namespace mformer {
namespace {

using Object = nlohmann::ordered_json;
using PieceType = SentencePieceModel::PieceType;

/// The keys below "tokenizer.ggml.".
class TokenizerKeys {
 public:
  TokenizerKeys(const GgufMetadata& metadata, const std::string& source) : metadata_(metadata), source_(source) {}

  template <class Value>
  const Value* find(const std::string& key) const {
    const auto found = metadata_.find("tokenizer.ggml." + key);
    if (found == metadata_.end()) return nullptr;
    if (const Value* value = std::get_if<Value>(&found->second)) return value;
    fail("'tokenizer.ggml." + key + "' is " + kind_of(found->second), "fetch the file again");
  }

  template <class Value>
  Value get(const std::string& key, Value otherwise) const {
    const Value* const found = find<Value>(key);
    return found == nullptr ? otherwise : *found;
  }

  /// A list that must be there, as long as that of tokens.
  template <class Value>
  const std::vector<Value>& list(const std::string& key, std::size_t length) const {
    const auto* const found = find<std::vector<Value>>(key);
    if (found == nullptr) fail("'tokenizer.ggml." + key + "' is missing", "fetch the file again");
    if (length > 0 && found->size() != length) {
      fail("'tokenizer.ggml." + key + "' has " + std::to_string(found->size()) + " entries for " +
               std::to_string(length) + " tokens",
           "fetch the file again");
    }
    return *found;
  }

  /// As fail(), for what another tokenizer.json would mend.
  [[noreturn]] void refuse(const std::string& what) const {
    fail(what, "take the model's own tokenizer.json: --tokenizer FILE");
  }

  [[noreturn]] void fail(const std::string& what, const std::string& hint) const {
    throw Error("'" + source_ + "': " + what, hint);
  }

 private:
  const GgufMetadata& metadata_;
  const std::string& source_;
};

struct Tokens {
  std::vector<std::string> names;
  std::vector<PieceType> types;
};

/// Without those at the end that only fill the embedding up.
Tokens read_tokens(const TokenizerKeys& keys) {
  Tokens tokens;
  tokens.names = keys.list<std::string>("tokens", 0);
  const std::size_t count = tokens.names.size();
  if (const auto* types = keys.find<std::vector<std::int64_t>>("token_type")) {
    keys.list<std::int64_t>("token_type", count);
    for (const std::int64_t type : *types) {
      if (type < 1 || type > 6) keys.fail("a token is of the unknown type " + std::to_string(type), "fetch it again");
      tokens.types.push_back(static_cast<PieceType>(type));
    }
  } else {
    tokens.types.assign(count, PieceType::normal);
  }
  while (!tokens.types.empty() && tokens.types.back() == PieceType::unused) {
    tokens.types.pop_back();
    tokens.names.pop_back();
  }
  if (tokens.names.empty()) keys.fail("its tokenizer has no tokens", "fetch the file again");
  std::unordered_set<std::string_view> seen;
  for (const std::string& name : tokens.names) {
    if (!seen.insert(name).second) keys.fail("the token " + quoted_name(name) + " is there twice", "fetch it again");
  }
  return tokens;
}

/// The id that a key names, if the tokens around a text ask for it.
std::int64_t named_token(const TokenizerKeys& keys, const Tokens& tokens, const char* key, bool needed) {
  const auto id = keys.get<std::int64_t>(key, -1);
  if (id >= 0 && id < static_cast<std::int64_t>(tokens.names.size())) return id;
  if (needed) keys.fail("'tokenizer.ggml." + std::string(key) + "' names no token", "fetch the file again");
  return -1;
}

Object added_token(std::size_t id, const Tokens& tokens) {
  return {{"id", id},
          {"content", tokens.names[id]},
          {"single_word", false},
          {"lstrip", false},
          {"rstrip", false},
          {"normalized", false},
          {"special", tokens.types[id] == PieceType::control}};
}

Object frame_json(const Tokens& tokens, std::int64_t before, std::int64_t after) {
  const auto piece = [](const char* text) { return Object{{"Sequence", {{"id", text}, {"type_id", 0}}}}; };
  Object single = Object::array({piece("A")}), pair = Object::array({piece("A"), piece("B")});
  Object special = Object::object();
  const auto add = [&](std::int64_t id, bool in_front) {
    if (id < 0) return;
    const std::string& name = tokens.names[static_cast<std::size_t>(id)];
    const Object token = {{"SpecialToken", {{"id", name}, {"type_id", 0}}}};
    single.insert(in_front ? single.begin() : single.end(), token);
    pair.insert(in_front ? pair.begin() : pair.end(), token);
    special[name] = {{"id", name}, {"ids", {id}}, {"tokens", {name}}};
  };
  add(before, true);
  add(after, false);
  return {{"type", "TemplateProcessing"}, {"single", single}, {"pair", pair}, {"special_tokens", special}};
}

Object vocabulary_json(const Tokens& tokens) {
  Object vocab = Object::object();
  // Not through operator[], which looks for the name among all before it.
  auto& entries = static_cast<std::vector<std::pair<const std::string, Object>>&>(vocab.get_ref<Object::object_t&>());
  for (std::size_t id = 0; id < tokens.names.size(); ++id) entries.emplace_back(tokens.names[id], id);
  return vocab;
}

Object merges_json(const TokenizerKeys& keys) {
  Object merges = Object::array();
  for (const std::string& merge : keys.list<std::string>("merges", 0)) {
    const std::size_t space = merge.find(' ', 1);  // a part is never empty
    if (space == std::string::npos)
      keys.fail("the merge " + quoted_name(merge) + " is not of two parts", "fetch it again");
    merges.push_back({merge.substr(0, space), merge.substr(space + 1)});
  }
  return merges;
}

std::string byte_level_json(const TokenizerKeys& keys) {
  const auto name = keys.get<std::string>("pre", "default");
  const GgufPre* const pre = gguf_pre(name);
  if (pre == nullptr)
    keys.refuse("its tokenizer cuts words by the rules " + quoted_name(name) + ", which are not known");
  if (keys.get<bool>("add_space_prefix", false)) keys.refuse("its tokenizer puts a space before each text");
  const Tokens tokens = read_tokens(keys);
  Object added = Object::array();
  for (std::size_t id = 0; id < tokens.names.size(); ++id) {
    const PieceType type = tokens.types[id];
    if (type == PieceType::control || type == PieceType::user_defined) added.push_back(added_token(id, tokens));
  }
  const bool begins = keys.get<bool>("add_bos_token", pre->begins), ends = keys.get<bool>("add_eos_token", false);
  const std::int64_t bos = named_token(keys, tokens, "bos_token_id", begins);
  const std::int64_t eos = named_token(keys, tokens, "eos_token_id", ends);
  const Object bytes = {
      {"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", true}};
  const Object file = {
      {"version", "1.0"},
      {"truncation", nullptr},
      {"padding", nullptr},
      {"added_tokens", added},
      {"normalizer", pre->normalizer()},
      {"pre_tokenizer", pre->pre_tokenizer()},
      {"post_processor", begins || ends ? frame_json(tokens, begins ? bos : -1, ends ? eos : -1) : bytes},
      {"decoder", bytes},
      {"model", byte_bpe_json(vocabulary_json(tokens), merges_json(keys), pre->ignore_merges)}};
  return file.dump(1) + "\n";
}

std::string sentencepiece_json(const TokenizerKeys& keys, const std::string& source) {
  const Tokens tokens = read_tokens(keys);
  const std::vector<double>& scores = keys.list<double>("scores", keys.list<std::string>("tokens", 0).size());
  if (keys.find<std::vector<std::int64_t>>("precompiled_charsmap") != nullptr) {
    keys.refuse("its tokenizer replaces characters before it encodes (precompiled_charsmap)");
  }
  SentencePieceModel model;
  SentencePieceSettings settings;
  model.model_type = 2;
  for (std::size_t id = 0; id < tokens.names.size(); ++id) {
    model.pieces.push_back({tokens.names[id], static_cast<float>(scores[id]), tokens.types[id]});
    model.byte_fallback = model.byte_fallback || tokens.types[id] == PieceType::byte;
    if (tokens.types[id] != PieceType::user_defined) continue;
    const AddedToken added{.id = static_cast<int32_t>(id), .content = tokens.names[id], .normalized = false};
    settings.added.emplace(added.id, added);
  }
  model.remove_extra_whitespaces = false;
  model.add_dummy_prefix = keys.get<bool>("add_space_prefix", true);
  settings.add_bos = keys.get<bool>("add_bos_token", true);
  settings.add_eos = keys.get<bool>("add_eos_token", false);
  model.bos_id = named_token(keys, tokens, "bos_token_id", settings.add_bos);
  model.eos_id = named_token(keys, tokens, "eos_token_id", settings.add_eos);
  return sentencepiece_to_tokenizer_json(model, settings, source);
}

}  // namespace

std::string gguf_tokenizer_json(const GgufMetadata& metadata, const std::string& source) {
  const TokenizerKeys keys(metadata, source);
  const auto kind = keys.get<std::string>("model", "none");
  if (kind == "gpt2") return byte_level_json(keys);
  if (kind == "llama") return sentencepiece_json(keys, source);
  keys.refuse("its tokenizer is of the kind " + quoted_name(kind) + ", which is not supported");
}

std::string convert_gguf_tokenizer(const std::filesystem::path& path) {
  const GgufFile file = open_gguf_files(path).front();
  if (!has_gguf_tokenizer(file.metadata())) {
    throw Error("'" + path.string() + "' has no tokenizer", "take the model's own tokenizer.json: --tokenizer FILE");
  }
  return gguf_tokenizer_json(file.metadata(), file.source());
}

}  // namespace mformer
