#include <cstring>
#include <utility>

#include "core/formats/mapped_file.h"
#include "core/text/token_cache.h"
#include "core/text/token_file.h"
#include "modules_registry/error.h"

namespace mformer {

struct TokenData::Data {
  std::span<const uint32_t> tokens;
  std::span<const uint64_t> starts;
  int64_t text_bytes = 0;
  std::string content_hash, tokenizer_hash;
  // Whichever of these holds the bytes.
  std::shared_ptr<const void> mapping;
  std::vector<uint32_t> own_tokens;
  std::vector<uint64_t> own_starts;
};

TokenData::TokenData(std::shared_ptr<const Data> data) : data_(std::move(data)) {}

TokenData TokenData::open(const std::filesystem::path& file) {
  const MappedFile mapped = map_file(file);
  if (const auto problem = token_file_problem(mapped.bytes); !problem.empty()) {
    throw Error("the token file '" + file.string() + "' " + problem, "delete it; it is made anew from the data");
  }
  TokenFileHeader header{};
  std::memcpy(&header, mapped.bytes.data(), sizeof header);
  auto data = std::make_shared<Data>();
  const std::byte* begin = mapped.bytes.data();
  data->tokens = {reinterpret_cast<const uint32_t*>(begin + sizeof header), header.tokens};
  data->starts = {reinterpret_cast<const uint64_t*>(begin + document_table_offset(header.tokens)),
                  header.documents + 1};
  data->text_bytes = static_cast<int64_t>(header.text_bytes);
  data->content_hash.assign(header.content_hash, sizeof header.content_hash);
  data->tokenizer_hash.assign(header.tokenizer_hash, sizeof header.tokenizer_hash);
  data->mapping = mapped.owner;
  return TokenData(std::move(data));
}

TokenData TokenData::in_memory(std::vector<uint32_t> tokens, std::vector<uint64_t> document_starts) {
  auto data = std::make_shared<Data>();
  data->own_tokens = std::move(tokens);
  data->own_starts = std::move(document_starts);
  data->tokens = data->own_tokens;
  data->starts = data->own_starts;
  return TokenData(std::move(data));
}

std::span<const uint32_t> TokenData::tokens() const {
  return data_->tokens;
}

std::span<const uint64_t> TokenData::starts() const {
  return data_->starts;
}

int64_t TokenData::documents() const {
  return static_cast<int64_t>(data_->starts.size()) - 1;
}

std::span<const uint32_t> TokenData::document(int64_t index) const {
  if (index < 0 || index >= documents()) {
    throw Error("there is no document " + std::to_string(index) + ": there are " + std::to_string(documents()));
  }
  const auto at = static_cast<size_t>(index);
  return data_->tokens.subspan(data_->starts[at], data_->starts[at + 1] - data_->starts[at]);
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
