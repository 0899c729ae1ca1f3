#include "core/text/tokenizer.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "core/text/byte_level.h"
#include "core/text/tokenizer_json.h"
#include "core/text/utf8.h"
#include "modules_registry/error.h"
#include "modules_registry/files.h"

namespace mformer {
namespace {

// Words come back again and again: their ids are remembered. Longer words rarely come back.
constexpr size_t kMostCachedWords = 1UL << 16U;
constexpr size_t kLongestCachedWord = 64;

/// What one thread needs while it encodes.
struct Workspace {
  Regex::Scratch scratch;
  std::unordered_map<std::string, std::vector<int32_t>, StringHash, std::equal_to<>> words;
};

struct TokenText {
  std::string bytes;
  bool exists = false;
  bool special = false;
};

}  // namespace

struct Tokenizer::Data {
  Data(std::string file_text, const std::string& name) : Data(parse_tokenizer_json(file_text, name)) {
    hash = sha256_hex(file_text);
    json = std::move(file_text);
  }

  explicit Data(TokenizerParts parts)
      : model(std::move(parts.model)),
        normalizer(std::move(parts.normalizer)),
        pre_tokenizer(std::move(parts.pre_tokenizer)),
        added(std::move(parts.added)),
        frame(std::move(parts.frame)) {
    std::unordered_set<std::string_view> special;
    for (const AddedToken& token : added.all()) {
      if (token.special) special.insert(token.content);
    }
    // The package decodes an added token to what it looks for, and calls it special by that text.
    for (const auto& [token, id] : model.vocabulary()) set_token(id, token, special.contains(token));
    for (const AddedToken& token : added.all())
      set_token(token.id, token.looked_for, special.contains(token.looked_for));
  }

  // The package runs added tokens through the byte letters too: a token "é" is decoded to the byte E9.
  void set_token(int32_t id, const std::string& token, bool special) {
    const auto index = static_cast<size_t>(id);
    if (index >= tokens.size()) tokens.resize(index + 1);
    tokens[index] = {from_byte_letters(token).value_or(token), true, special};
  }

  std::unique_ptr<Workspace> borrow() const {
    const std::lock_guard lock(mutex);
    if (idle.empty()) return std::make_unique<Workspace>();
    auto workspace = std::move(idle.back());
    idle.pop_back();
    return workspace;
  }

  void give_back(std::unique_ptr<Workspace> workspace) const {
    const std::lock_guard lock(mutex);
    idle.push_back(std::move(workspace));
  }

  std::vector<int32_t> encode(std::string_view text, EncodeOptions options, Workspace& workspace) const;
  void encode_plain(std::string_view text, EncodeOptions options, Workspace& workspace,
                    std::vector<int32_t>& ids) const;
  void encode_valid(std::string_view text, EncodeOptions options, Workspace& workspace,
                    std::vector<int32_t>& ids) const;
  void encode_word(std::string_view word, Workspace& workspace, std::vector<int32_t>& ids) const;

  std::string json, hash;
  BpeModel model;
  Normalizer normalizer;
  PreTokenizer pre_tokenizer;
  AddedTokens added;
  TokenFrame frame;
  std::vector<TokenText> tokens;
  mutable std::mutex mutex;
  mutable std::vector<std::unique_ptr<Workspace>> idle;
};

void Tokenizer::Data::encode_word(std::string_view word, Workspace& workspace, std::vector<int32_t>& ids) const {
  if (const auto known = workspace.words.find(word); known != workspace.words.end()) {
    ids.insert(ids.end(), known->second.begin(), known->second.end());
    return;
  }
  const size_t first = ids.size();
  model.encode_word(word, ids);
  if (word.size() > kLongestCachedWord) return;
  if (workspace.words.size() >= kMostCachedWords) workspace.words.clear();
  workspace.words.emplace(word, std::vector(ids.begin() + static_cast<std::ptrdiff_t>(first), ids.end()));
}

/// Text without tokens of the first pass, and without bytes that are no text.
void Tokenizer::Data::encode_valid(std::string_view text, EncodeOptions options, Workspace& workspace,
                                   std::vector<int32_t>& ids) const {
  const auto word = [&](std::string_view part) { encode_word(part, workspace, ids); };
  std::string memory;
  const auto normalized = normalizer.apply(text, memory, workspace.scratch);
  added.split(AddedTokens::Pass::normalized, normalized, options.special_as_text,
              [&](std::string_view part, int32_t id) {
                if (id >= 0) {
                  ids.push_back(id);
                } else {
                  pre_tokenizer.for_each_word(part, workspace.scratch, word);
                }
              });
}

void Tokenizer::Data::encode_plain(std::string_view text, EncodeOptions options, Workspace& workspace,
                                   std::vector<int32_t>& ids) const {
  while (!text.empty()) {
    const size_t valid = utf8_valid_prefix(text);
    if (valid > 0) encode_valid(text.substr(0, valid), options, workspace, ids);
    if (valid == text.size()) return;
    const int32_t id = model.byte_id(static_cast<uint8_t>(text[valid]));
    if (id >= 0) ids.push_back(id);
    text.remove_prefix(valid + 1);
  }
}

std::vector<int32_t> Tokenizer::Data::encode(std::string_view text, EncodeOptions options, Workspace& workspace) const {
  std::vector<int32_t> ids;
  if (options.with_frame) ids = frame.before;
  added.split(AddedTokens::Pass::as_written, text, options.special_as_text, [&](std::string_view part, int32_t id) {
    if (id >= 0) {
      ids.push_back(id);
    } else {
      encode_plain(part, options, workspace, ids);
    }
  });
  if (options.with_frame) ids.insert(ids.end(), frame.after.begin(), frame.after.end());
  return ids;
}

Tokenizer::Tokenizer(std::shared_ptr<const Data> data) : data_(std::move(data)) {}

Tokenizer Tokenizer::from_json(std::string json, const std::string& name) {
  return Tokenizer(std::make_shared<const Data>(std::move(json), name));
}

Tokenizer Tokenizer::load(const std::filesystem::path& file) {
  return from_json(read_file(file), file.string());
}

std::vector<int32_t> Tokenizer::encode(std::string_view text, EncodeOptions options) const {
  auto workspace = data_->borrow();
  auto ids = data_->encode(text, options, *workspace);
  data_->give_back(std::move(workspace));
  return ids;
}

std::vector<std::vector<int32_t>> Tokenizer::encode_many(std::span<const std::string_view> texts, int threads,
                                                         EncodeOptions options) const {
  std::vector<std::vector<int32_t>> results(texts.size());
  std::atomic<size_t> next = 0;
  std::mutex mutex;
  std::exception_ptr failure;
  const auto work = [&] {
    try {
      auto workspace = data_->borrow();
      for (size_t at = next++; at < texts.size(); at = next++) {
        results[at] = data_->encode(texts[at], options, *workspace);
      }
      data_->give_back(std::move(workspace));
    } catch (...) {
      const std::lock_guard lock(mutex);
      failure = std::current_exception();
    }
  };
  {
    std::vector<std::jthread> helpers;
    const auto wanted = std::min<size_t>(texts.size(), static_cast<size_t>(std::max(threads, 1)));
    for (size_t helper = 1; helper < wanted; ++helper) helpers.emplace_back(work);
    work();
  }
  if (failure) std::rethrow_exception(failure);
  return results;
}

std::string Tokenizer::decode(std::span<const int32_t> ids, bool skip_special) const {
  std::string bytes;
  for (const int32_t id : ids) {
    if (!contains(id)) continue;
    const TokenText& token = data_->tokens[static_cast<size_t>(id)];
    if (!(skip_special && token.special)) bytes += token.bytes;
  }
  return bytes;
}

int32_t Tokenizer::vocab_size() const {
  return static_cast<int32_t>(data_->tokens.size());
}

bool Tokenizer::contains(int32_t id) const {
  return id >= 0 && id < vocab_size() && data_->tokens[static_cast<size_t>(id)].exists;
}

std::optional<int32_t> Tokenizer::id_of(std::string_view token) const {
  for (const AddedToken& candidate : data_->added.all()) {
    if (candidate.content == token) return candidate.id;
  }
  const auto found = data_->model.vocabulary().find(token);
  return found == data_->model.vocabulary().end() ? std::nullopt : std::optional(found->second);
}

namespace {
constexpr const char* kEndNames[] = {"<|endoftext|>", "<|end_of_text|>", "</s>"};
}  // namespace

std::optional<int32_t> Tokenizer::find_end_of_text() const {
  for (const auto* name : kEndNames) {
    if (const auto id = id_of(name)) return id;
  }
  return end_;
}

int32_t Tokenizer::end_of_text() const {
  if (const auto id = find_end_of_text()) return *id;
  throw Error(
      "the tokenizer has no token that ends a text (<|endoftext|>, <|end_of_text|> or </s>), and the model's "
      "config names none",
      "add <|endoftext|> to its added_tokens, name the token by eos_token_id in config.json, or make a "
      "tokenizer: mformer tokenizer train --data DIR");
}

Tokenizer Tokenizer::ending_with(int64_t id) const {
  Tokenizer other = *this;
  const bool known = id >= 0 && id < vocab_size() && contains(static_cast<int32_t>(id));
  if (known && !find_end_of_text()) other.end_ = static_cast<int32_t>(id);
  return other;
}

std::string Tokenizer::identity() const {
  return end_ ? hash() + " ended by " + std::to_string(*end_) : hash();
}

const TokenFrame& Tokenizer::frame() const {
  return data_->frame;
}

std::span<const int32_t> Tokenizer::opening_of(std::span<const int32_t> ids) const {
  const std::vector<int32_t>& before = data_->frame.before;
  const bool written = ids.size() >= before.size() && std::ranges::equal(ids.first(before.size()), before);
  return written ? std::span<const int32_t>() : std::span<const int32_t>(before);
}

const std::string& Tokenizer::hash() const {
  return data_->hash;
}

const std::string& Tokenizer::to_json() const {
  return data_->json;
}

void Tokenizer::save(const std::filesystem::path& file) const {
  write_file_atomically(file, as_bytes(std::string_view(data_->json)));
}

}  // namespace mformer
