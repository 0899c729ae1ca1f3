#include "core/text/tokenizer.h"

#include "core/text/gguf_tokenizer.h"
#include "core/text/gguf_tokenizer_writer.h"
#include "core/text/sentencepiece_json.h"
#include "core/text/sentencepiece_model.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/readers.h"

namespace mformer::fuzz {
namespace {

constexpr std::string_view kTexts[] = {"", "Hello, world's 123 tests.\n\n  It'll\tdo…",
                                       "ﬁ é e\xCC\x81 İ ß 漢字 🙂\r\n", "\xFF\xC3 half \xED\xA0\x80",
                                       "<s>a</s> <|end|>▁▁a"};

void use(const Tokenizer& tokenizer, std::string_view text) {
  for (const bool with_frame : {false, true}) {
    const std::vector<std::int32_t> ids =
        tokenizer.encode(text, {.special_as_text = !with_frame, .with_frame = with_frame});
    for (const std::int32_t id : ids) must(tokenizer.contains(id) && id < tokenizer.vocab_size(), "an id is a token");
    tokenizer.decode(ids, {.skip_special = with_frame});
  }
}

void use(const Tokenizer& tokenizer, std::span<const std::string_view> texts) {
  for (const std::string_view text : texts) use(tokenizer, text);
  tokenizer.decode(std::vector<std::int32_t>{-1, 0, tokenizer.vocab_size(), INT32_MAX, 1, 2});
}

/// Whatever was read can be written so, or it is said why not.
void write_as_gguf(const Tokenizer& tokenizer) {
  GgufMetadata metadata;
  try {
    put_gguf_tokenizer(tokenizer, {tokenizer.vocab_size(), -1, {}}, metadata);
  } catch (const Error&) {
    return;
  }
  must_succeed("a tokenizer that was written is read",
               [&] { return Tokenizer::from_json(gguf_tokenizer_json(metadata, "written"), "written"); });
}

}  // namespace

/// The file; after a byte 0, a text for it.
void read_tokenizer(std::string_view input) {
  const std::size_t end = std::min(input.find('\0'), input.size());
  const Tokenizer tokenizer = Tokenizer::from_json(std::string(input.substr(0, end)), "tokenizer.json");
  use(tokenizer, kTexts);
  write_as_gguf(tokenizer);
  if (end < input.size()) use(tokenizer, input.substr(end + 1));
}

void read_sentencepiece(std::string_view input) {
  const SentencePieceModel model = parse_sentencepiece_model(input, "tokenizer.model");
  const std::string json = sentencepiece_to_tokenizer_json(model, {}, "tokenizer.model");
  use(Tokenizer::from_json(json, "tokenizer.model"), kTexts);
}

}  // namespace mformer::fuzz
