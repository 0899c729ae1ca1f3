#include <optional>
#include <utility>

#include "core/formats/input_file.h"
#include "core/text/token_cache.h"
#include "core/text/token_file.h"
#include "modules_registry/error.h"

namespace mformer {

struct TokenData::Data {
  std::vector<uint64_t> starts;
  int64_t text_bytes = 0;
  std::string content_hash, tokenizer_hash;
  // Whichever of these holds the tokens.
  std::optional<InputFile> file;
  std::vector<uint32_t> own;
};

TokenData::TokenData(std::shared_ptr<const Data> data) : data_(std::move(data)) {}

TokenData TokenData::open(const std::filesystem::path& file) {
  auto data = std::make_shared<Data>();
  data->file = InputFile::open(file);
  TokenFileHeader header{};
  if (const auto problem = read_token_file(*data->file, header, data->starts); !problem.empty()) {
    throw Error("the token file '" + file.string() + "' " + problem, "delete it; it is made anew from the data");
  }
  data->text_bytes = static_cast<int64_t>(header.text_bytes);
  data->content_hash.assign(header.content_hash, sizeof header.content_hash);
  data->tokenizer_hash.assign(header.tokenizer_hash, sizeof header.tokenizer_hash);
  return TokenData(std::move(data));
}

TokenData TokenData::in_memory(std::vector<uint32_t> tokens, std::vector<uint64_t> document_starts) {
  auto data = std::make_shared<Data>();
  data->own = std::move(tokens);
  data->starts = std::move(document_starts);
  return TokenData(std::move(data));
}

TokenData::Tokens TokenData::tokens() const {
  return {*this, data_->starts.back()};
}

std::vector<uint32_t> TokenData::Tokens::read(uint64_t first, uint64_t count) const {
  const Data& data = *data_.data_;
  if (!data.file)
    return {data.own.begin() + static_cast<int64_t>(first), data.own.begin() + static_cast<int64_t>(first + count)};
  std::vector<uint32_t> tokens(count);
  data.file->read(sizeof(TokenFileHeader) + first * sizeof(uint32_t), std::as_writable_bytes(std::span(tokens)));
  return tokens;
}

std::span<const uint64_t> TokenData::starts() const {
  return data_->starts;
}

int64_t TokenData::documents() const {
  return static_cast<int64_t>(data_->starts.size()) - 1;
}

std::vector<uint32_t> TokenData::document(int64_t index) const {
  if (index < 0 || index >= documents()) {
    throw Error("there is no document " + std::to_string(index) + ": there are " + std::to_string(documents()));
  }
  const auto at = static_cast<size_t>(index);
  return tokens().read(data_->starts[at], data_->starts[at + 1] - data_->starts[at]);
}

int64_t TokenData::text_bytes() const {
  return data_->text_bytes;
}
const std::string& TokenData::content_hash() const {
  return data_->content_hash;
}
const std::string& TokenData::tokenizer_hash() const {
  return data_->tokenizer_hash;
}

}  // namespace mformer
