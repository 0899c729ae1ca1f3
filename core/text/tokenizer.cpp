#include "core/text/tokenizer.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>

#include "core/formats/input_file.h"
#include "core/text/chat_template.h"
#include "core/text/gguf_tokenizer.h"
#include "core/text/sentencepiece_json.h"
#include "core/text/tokenizer_data.h"
#include "modules_registry/error.h"
#include "modules_registry/files.h"

namespace mformer {
Tokenizer::Tokenizer(std::shared_ptr<const Data> data) : data_(std::move(data)) {}

Tokenizer Tokenizer::from_json(std::string json, const std::string& name) {
  return Tokenizer(std::make_shared<const Data>(std::move(json), name));
}

Tokenizer Tokenizer::load(const std::filesystem::path& file) {
  const bool sentencepiece = file.extension() == ".model";
  if (!sentencepiece && is_gguf_path(file)) return from_json(convert_gguf_tokenizer(file), file.string());
  return from_json(
      sentencepiece ? convert_sentencepiece_file(file) : read_bounded_file(file, kMostTokenizerBytes, "a tokenizer"),
      file.string());
}

std::vector<int32_t> Tokenizer::encode(std::string_view text, EncodeOptions options) const {
  auto workspace = data_->borrow();
  auto ids = data_->encode(text, options, *workspace);
  data_->give_back(std::move(workspace));
  return ids;
}

std::vector<std::vector<int32_t>> Tokenizer::encode_many(std::span<const std::string_view> texts, int threads,
                                                         const EncodeOptionsOf& options) const {
  std::vector<std::vector<int32_t>> results(texts.size());
  std::atomic<size_t> next = 0;
  std::mutex mutex;
  std::exception_ptr failure;
  const auto work = [&] {
    try {
      auto workspace = data_->borrow();
      for (size_t at = next++; at < texts.size(); at = next++) {
        results[at] = data_->encode(texts[at], options ? options(at) : EncodeOptions(), *workspace);
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

std::string Tokenizer::decode(std::span<const int32_t> ids, DecodeOptions options) const {
  return data_->decode(ids, options);
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

Tokenizer Tokenizer::chatting_by(std::shared_ptr<const ChatTemplate> chat) const {
  Tokenizer other = *this;
  other.chat_ = std::move(chat);
  return other;
}

std::string Tokenizer::identity() const {
  std::string all = hash();
  if (end_) all += " ended by " + std::to_string(*end_);
  if (chat_) all += " chatting by " + chat_->identity();
  return all;
}

std::vector<std::string> Tokenizer::special_tokens() const {
  std::vector<std::string> names;
  for (const AddedToken& token : data_->added.all()) {
    if (!token.special) continue;
    names.push_back(token.content);
    if (token.looked_for != token.content) names.push_back(token.looked_for);
  }
  return names;
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
