#include "core/formats/gguf_chat.h"

#include "modules_registry/error.h"

namespace mformer {
namespace {

struct NamedTokenKey {
  const char* name;
  const char* key;
};

constexpr NamedTokenKey kNamedTokens[] = {{"bos_token", "tokenizer.ggml.bos_token_id"},
                                          {"eos_token", "tokenizer.ggml.eos_token_id"},
                                          {"unk_token", "tokenizer.ggml.unknown_token_id"},
                                          {"pad_token", "tokenizer.ggml.padding_token_id"}};

template <class Value>
const Value* value_of(const GgufMetadata& metadata, const char* key) {
  const auto found = metadata.find(key);
  return found == metadata.end() ? nullptr : std::get_if<Value>(&found->second);
}

}  // namespace

std::optional<ChatFormat> gguf_chat_format(const GgufMetadata& metadata, const std::string& source) {
  constexpr const char* kTemplate = "tokenizer.chat_template";
  if (!metadata.contains(kTemplate)) return std::nullopt;
  const auto* const text = value_of<std::string>(metadata, kTemplate);
  if (text == nullptr) {
    throw Error("'" + source + "': '" + kTemplate + "' is " + kind_of(metadata.find(kTemplate)->second),
                "fetch the file again");
  }
  if (text->empty()) return std::nullopt;
  ChatFormat format{*text, {}};
  const auto* const tokens = value_of<std::vector<std::string>>(metadata, "tokenizer.ggml.tokens");
  for (const NamedTokenKey& known : kNamedTokens) {
    const auto* const id = value_of<std::int64_t>(metadata, known.key);
    const bool exists =
        tokens != nullptr && id != nullptr && *id >= 0 && static_cast<std::uint64_t>(*id) < tokens->size();
    if (exists) format.tokens[known.name] = (*tokens)[static_cast<std::size_t>(*id)];
  }
  return format;
}

}  // namespace mformer
