#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sys/wait.h>

#include <cctype>
#include <cerrno>

#include "core/text/chat_template.h"
#include "core/text/token_cache.h"
#include "tests/core/text/chat_tokenizer.h"
#include "tests/core/text/temporary_folder.h"

namespace mformer {
namespace {

using ::testing::HasSubstr;

Tokenizer chatting(const char* text = kChatMl, const std::map<std::string, std::string>& tokens = {},
                   const Tokenizer& tokenizer = chat_tokenizer()) {
  return tokenizer.chatting_by(std::make_shared<ChatTemplate>(ChatFormat{text, tokens}, tokenizer));
}

/// `count` conversations in chats/, and those of `more`, JSON lists of messages.
void write_chats(const TemporaryFolder& folder, int count, const std::vector<std::string>& more = {}) {
  std::string lines;
  for (int i = 0; i < count; ++i) {
    lines += R"({"messages": [{"role": "user", "content": "Number )" + std::to_string(i) +
             R"(?"}, {"role": "assistant", "content": "It is <|im_end|> one."}]})" + "\n";
  }
  for (const std::string& messages : more) lines += R"({"messages": )" + messages + "}\n";
  folder.write("chats/all.jsonl", lines);
}

/// A document's tokens as text, in "⟦ ⟧" those that count.
std::string with_loss(const Tokenizer& tokenizer, const std::vector<uint32_t>& tokens) {
  std::string text;
  bool counts = false;
  for (const uint32_t token : tokens) {
    const bool now = (token & TokenData::kNoLoss) == 0;
    if (now != counts) text += now ? "⟦" : "⟧";
    counts = now;
    const auto id = static_cast<int32_t>(token & TokenData::kIdMask);
    text += tokenizer.decode(std::span(&id, 1));
  }
  return text + (counts ? "⟧" : "");
}

TEST(ChatCacheTest, ConversationsAreTokensOfTheModelsOwnTemplate) {
  const TemporaryFolder folder;
  write_chats(folder, 200);
  const Tokenizer tokenizer = chatting();
  const TokenCache cache = build_token_cache(folder / "chats", tokenizer, folder / "cache");
  EXPECT_EQ(cache.refused_chats, 0);
  const std::vector<uint32_t> first = cache.train.document(0);
  std::string text = with_loss(tokenizer, first);
  std::erase_if(text, [](unsigned char c) { return std::isdigit(c) != 0; });
  EXPECT_EQ(text,
            "<|im_start|>system\nHelp.<|im_end|>\n<|im_start|>user\nNumber ?<|im_end|>\n"
            "<|im_start|>assistant\n⟦It is <|im_end|> one.<|im_end|>⟧\n<|endoftext|>");
  EXPECT_EQ(std::ranges::count(first, static_cast<uint32_t>(tokenizer.id_of("<|im_end|>").value())), 1);
}

TEST(ChatCacheTest, WhatTheTokenizerPutsAroundATextIsTheTemplatesBusiness) {
  auto file = nlohmann::json::parse(chat_tokenizer().to_json());
  file["post_processor"] = nlohmann::json::parse(R"({"type": "TemplateProcessing",
    "single": [{"SpecialToken": {"id": "<s>"}}, {"Sequence": {"id": "A"}}, {"SpecialToken": {"id": "</s>"}}],
    "special_tokens": {"<s>": {"ids": [1003]}, "</s>": {"ids": [1004]}}})");
  const Tokenizer tokenizer = Tokenizer::from_json(file.dump(), "tokenizer.json");
  const TemporaryFolder folder;
  write_chats(folder, 200);
  const auto ids =
      build_token_cache(folder / "chats", chatting(kChatMl, {}, tokenizer), folder / "cache").train.document(0);
  EXPECT_EQ(std::ranges::count_if(ids, [](uint32_t id) { return (id & TokenData::kIdMask) == 1003; }), 0);
  EXPECT_EQ(std::ranges::count_if(ids, [](uint32_t id) { return (id & TokenData::kIdMask) == 1004; }), 0);
}

TEST(ChatCacheTest, TheProcessOfTheTemplateIsGoneBeforeAnythingIsTrained) {
  const TemporaryFolder folder;
  write_chats(folder, 50);
  const Tokenizer tokenizer = chatting();
  build_token_cache(folder / "chats", tokenizer, folder / "cache");
  EXPECT_EQ(waitpid(-1, nullptr, WNOHANG), -1);  // this process has no other
  EXPECT_EQ(errno, ECHILD);
}

TEST(ChatCacheTest, TheTemplateNamesTheFilesAndNeitherSplitsNorTheContent) {
  const TemporaryFolder folder;
  write_chats(folder, 200);
  const auto build = [&](const Tokenizer& tokenizer) {
    return build_token_cache(folder / "chats", tokenizer, folder / "cache");
  };
  const TokenCache plain = build(chat_tokenizer()), chat = build(chatting());
  EXPECT_FALSE(chat.reused);
  EXPECT_TRUE(build(chatting()).reused);
  EXPECT_FALSE(build(chatting("{% for m in messages %}{{ m.role + m.content + '<|im_end|>' }}{% endfor %}"
                              "{% if add_generation_prompt %}assistant{% endif %}"))
                   .reused);
  EXPECT_FALSE(build(chatting(kInstructions, {{"bos_token", "<s>"}, {"eos_token", "</s>"}})).reused);
  EXPECT_EQ(chat.summary.content_hash, plain.summary.content_hash);
  EXPECT_EQ(chat.held_out.documents(), plain.held_out.documents());
  EXPECT_EQ(chat.train.text_bytes(), plain.train.text_bytes());
  EXPECT_THAT(with_loss(chat_tokenizer(), plain.train.document(0)), HasSubstr("Assistant:⟦ It is"));
}

TEST(ChatCacheTest, AConversationThatTheTemplateRefusesHarmsItselfAlone) {
  const TemporaryFolder folder;
  const std::string refused = R"([{"role": "system", "content": "Help."}, {"role": "assistant", "content": "No."}])";
  write_chats(folder, 200, {refused});
  const Tokenizer tokenizer = chatting(kInstructions, {{"bos_token", "<s>"}, {"eos_token", "</s>"}});
  const auto build = [&] { return build_token_cache(folder / "chats", tokenizer, folder / "cache"); };
  const TokenCache made = build();
  EXPECT_EQ(made.refused_chats, 1);
  EXPECT_EQ(made.summary.documents, 201);
  EXPECT_THAT(made.refusal, HasSubstr("Roles must alternate"));
  EXPECT_EQ(build().refused_chats, 1);  // also when the tokens are at hand
  write_chats(folder, 0, {refused, refused});
  EXPECT_THAT(refusal_by(build), HasSubstr("of all conversations none can be read: the model's chat template"));
}

}  // namespace
}  // namespace mformer
