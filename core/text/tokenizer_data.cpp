#include "core/text/tokenizer_data.h"

#include <unordered_set>
#include <utility>

#include "core/text/utf8.h"
#include "modules_registry/files.h"

namespace mformer {
namespace {

// Words come back again and again: their ids are remembered. Longer words rarely come back.
constexpr size_t kMostCachedWords = 1UL << 16U;
constexpr size_t kLongestCachedWord = 64;

}  // namespace

Tokenizer::Data::Data(std::string file_text, const std::string& name) : Data(parse_tokenizer_json(file_text, name)) {
  hash = sha256_hex(file_text);
  json = std::move(file_text);
}

Tokenizer::Data::Data(TokenizerParts parts)
    : model(std::move(parts.model)),
      normalizer(std::move(parts.normalizer)),
      pre_tokenizer(std::move(parts.pre_tokenizer)),
      added(std::move(parts.added)),
      frame(std::move(parts.frame)),
      decoder(std::move(parts.decoder)) {
  std::unordered_set<std::string_view> special;
  for (const AddedToken& token : added.all()) {
    if (token.special) special.insert(token.content);
  }
  // The package decodes an added token to what it looks for, and calls it special by that text.
  Regex::Scratch scratch;
  for (const auto& [token, id] : model.vocabulary()) set_token(id, token, special.contains(token), scratch);
  for (const AddedToken& token : added.all()) {
    set_token(token.id, token.looked_for, special.contains(token.looked_for), scratch);
  }
}

// The package runs added tokens through the decoder's steps too: with byte letters a token "é" becomes the byte E9.
void Tokenizer::Data::set_token(int32_t id, const std::string& token, bool special, Regex::Scratch& scratch) {
  const auto index = static_cast<size_t>(id);
  if (index >= tokens.size()) tokens.resize(index + 1);
  tokens[index] = {decoder.prepare(token, scratch), true, special};
}

std::unique_ptr<Tokenizer::Data::Workspace> Tokenizer::Data::borrow() const {
  const std::lock_guard lock(mutex);
  if (idle.empty()) return std::make_unique<Workspace>();
  auto workspace = std::move(idle.back());
  idle.pop_back();
  return workspace;
}

void Tokenizer::Data::give_back(std::unique_ptr<Workspace> workspace) const {
  const std::lock_guard lock(mutex);
  idle.push_back(std::move(workspace));
}

void Tokenizer::Data::encode_part(std::string_view part, Workspace& workspace, std::vector<int32_t>& ids) const {
  if (const auto known = workspace.words.find(part); known != workspace.words.end()) {
    ids.insert(ids.end(), known->second.begin(), known->second.end());
    return;
  }
  const size_t first = ids.size();
  model.encode_part(part, ids);
  if (part.size() > kLongestCachedWord) return;
  if (workspace.words.size() >= kMostCachedWords) workspace.words.clear();
  workspace.words.emplace(part, std::vector(ids.begin() + static_cast<std::ptrdiff_t>(first), ids.end()));
}

void Tokenizer::Data::encode_word(std::string_view word, Workspace& workspace, std::vector<int32_t>& ids) const {
  if (const int32_t whole = model.whole_word(word); whole >= 0) return ids.push_back(whole);
  while (!word.empty()) {
    const size_t length = model.first_part(word);
    encode_part(word.substr(0, length), workspace, ids);
    word.remove_prefix(length);
  }
}

/// Text without tokens of the first pass, and without bytes that are no text.
void Tokenizer::Data::encode_valid(std::string_view text, TextPlace place, EncodeOptions options, Workspace& workspace,
                                   std::vector<int32_t>& ids) const {
  const auto word = [&](std::string_view part) { encode_word(part, workspace, ids); };
  std::string memory;
  const auto normalized = normalizer.apply(text, place, memory, workspace.scratch);
  added.split(AddedTokens::Pass::normalized, normalized, options.special_as_text,
              [&](std::string_view part, int32_t id) {
                if (id >= 0) return ids.push_back(id);
                const bool first = part.data() == normalized.data();
                pre_tokenizer.for_each_word(part, first ? place : TextPlace::after_other, workspace.scratch, word);
              });
}

void Tokenizer::Data::encode_plain(std::string_view text, TextPlace place, EncodeOptions options, Workspace& workspace,
                                   std::vector<int32_t>& ids) const {
  while (!text.empty()) {
    const size_t valid = utf8_valid_prefix(text);
    if (valid > 0) encode_valid(text.substr(0, valid), place, options, workspace, ids);
    if (valid == text.size()) return;
    const int32_t id = model.byte_id(static_cast<uint8_t>(text[valid]));
    if (id >= 0) ids.push_back(id);
    text.remove_prefix(valid + 1);
    place = TextPlace::after_other;
  }
}

std::vector<int32_t> Tokenizer::Data::encode(std::string_view text, EncodeOptions options, Workspace& workspace) const {
  std::vector<int32_t> ids;
  if (options.with_frame) ids = frame.before;
  const TextPlace start = options.continues ? TextPlace::goes_on : TextPlace::at_start;
  added.split(AddedTokens::Pass::as_written, text, options.special_as_text, [&](std::string_view part, int32_t id) {
    if (id >= 0) return ids.push_back(id);
    encode_plain(part, part.data() == text.data() ? start : TextPlace::after_other, options, workspace, ids);
  });
  if (options.with_frame) ids.insert(ids.end(), frame.after.begin(), frame.after.end());
  return ids;
}

std::string Tokenizer::Data::decode(std::span<const int32_t> ids, DecodeOptions options) const {
  std::string bytes;
  std::vector<std::string> texts;
  for (const int32_t id : ids) {
    if (id < 0 || static_cast<size_t>(id) >= tokens.size()) continue;
    const TokenText& token = tokens[static_cast<size_t>(id)];
    if (!token.exists || (options.skip_special && token.special)) continue;
    if (decoder.only_joins()) {
      bytes += token.text;
    } else {
      texts.push_back(token.text);
    }
  }
  if (decoder.only_joins()) return bytes;
  auto workspace = borrow();
  bytes = decoder.decode(std::move(texts), options.continues, workspace->scratch);
  give_back(std::move(workspace));
  return bytes;
}

}  // namespace mformer
