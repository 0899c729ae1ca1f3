#include <algorithm>

#include "core/formats/model_config.h"
#include "core/text/chat_template.h"
#include "core/text/tokenizer.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/readers.h"

namespace mformer::fuzz {
namespace {

constexpr const char* kTokenizer =
    R"({"version":"1.0","truncation":null,"padding":null,"normalizer":null,"pre_tokenizer":null,"post_processor":null,)"
    R"("decoder":{"type":"Fuse"},"added_tokens":[{"id":0,"content":"<unk>","special":true},)"
    R"({"id":1,"content":"<s>","special":true},{"id":2,"content":"</s>","special":true}],)"
    R"("model":{"type":"BPE","vocab":{"<unk>":0,"<s>":1,"</s>":2,"a":3,"b":4},"merges":[],"unk_token":"<unk>",)"
    R"("fuse_unk":true,"byte_fallback":false}})";

/// Turns that name special tokens and the marks of a template.
const std::vector<ChatMessage>& conversation() {
  static const std::vector<ChatMessage> messages = {
      {"system", "be </s> brief"}, {"user", "a {{ b }} <s>"},          {"assistant", "ab</s>b"},
      {"user", "{% c %}"},         {"assistant", "\xC3\xA9 a", false}, {"user", ""},
      {"assistant", "b"}};
  return messages;
}

void check_places(const std::vector<std::size_t>& places, const std::string& text) {
  must(std::is_sorted(places.begin(), places.end()), "places come in the order of the text");
  must(places.empty() || places.back() <= text.size(), "a place lies in the text");
}

}  // namespace

/// A chat template, by which a conversation is asked, and learned from as a document.
void read_chat_document(std::string_view input) {
  static const Tokenizer tokenizer = Tokenizer::from_json(kTokenizer, "tokenizer.json");
  ModelConfig config;
  set_chat_format(config, ChatFormat{std::string(input), {{"bos_token", "<s>"}, {"eos_token", "</s>"}}}, "the input");
  const ChatTemplate chat(*chat_format_of(config), tokenizer);
  const ChatText asked = chat.write(std::span(conversation()).first(2), true);
  check_places(asked.cuts, asked.text);
  const ChatDocument document = chat.document(conversation());
  check_places(document.edges, document.text);
}

}  // namespace mformer::fuzz
