#include "core/formats/chat_format.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "core/formats/model_config.h"
#include "modules_registry/error.h"
#include "modules_registry/files.h"
#include "tests/support/expect_error.h"

namespace mformer {
namespace {

namespace fs = std::filesystem;
using testing::expect_error;

class ChatFormatTest : public ::testing::Test {
 protected:
  ChatFormatTest() : folder_(fs::temp_directory_path() / ("mformer-chat-" + random_uid())) {
    fs::create_directories(folder_);
  }
  ~ChatFormatTest() override { fs::remove_all(folder_); }

  void write(const std::string& name, const std::string& text) const {
    std::ofstream(folder_ / name, std::ios::binary) << text;
  }

  fs::path folder_;
};

TEST_F(ChatFormatTest, ReadsTheTemplateAndTheNamesOfTokens) {
  write("tokenizer_config.json", R"({"chat_template": "{{ 1 }}", "bos_token": "<s>", "add_bos_token": true,
    "eos_token": {"content": "</s>", "lstrip": false}, "pad_token": null, "model_max_length": 1e30})");
  const auto format = read_chat_format(folder_);
  ASSERT_TRUE(format.has_value());
  EXPECT_EQ(*format, (ChatFormat{"{{ 1 }}", {{"bos_token", "<s>"}, {"eos_token", "</s>"}}}));
}

TEST_F(ChatFormatTest, AFileOfItsOwnGoesBeforeTheSettings) {
  write("tokenizer_config.json", R"({"chat_template": "old", "eos_token": "</s>"})");
  write("chat_template.jinja", "new\n");
  EXPECT_EQ(read_chat_format(folder_), (ChatFormat{"new\n", {{"eos_token", "</s>"}}}));
}

TEST_F(ChatFormatTest, OfNamedTemplatesTheDefaultCounts) {
  write("tokenizer_config.json", R"({"chat_template": [{"name": "tool_use", "template": "a"},
    {"name": "default", "template": "b"}]})");
  EXPECT_EQ(read_chat_format(folder_)->template_text, "b");
  write("tokenizer_config.json", R"({"chat_template": [{"name": "tool_use", "template": "a"}]})");
  EXPECT_FALSE(read_chat_format(folder_).has_value());
}

TEST_F(ChatFormatTest, AModelWithoutATemplateHasNoFormat) {
  EXPECT_FALSE(read_chat_format(folder_).has_value());
  write("tokenizer_config.json", R"({"chat_template": null, "eos_token": "</s>"})");
  EXPECT_FALSE(read_chat_format(folder_).has_value());
}

TEST_F(ChatFormatTest, RefusesWhatIsNoTemplate) {
  const auto refused = [&](const std::string& settings, const std::string& why) {
    write("tokenizer_config.json", settings);
    EXPECT_NE(expect_error<Error>([&] { read_chat_format(folder_); }, why), "");
  };
  refused("{", "not valid JSON");
  refused(R"({"chat_template": 7})", "neither a text nor a list");
  refused(R"({"chat_template": [7]})", "an entry without a name");
  refused(R"({"chat_template": [{"name": "default"}]})", "an entry without a name");
  refused(R"({"chat_template": ""})", "empty chat template");
  refused(R"({"chat_template": ")" + std::string(kLongestChatTemplate + 1, 'x') + "\"}", "at most 1048576");
  write("tokenizer_config.json", "{}");
  write("chat_template.jinja", "\xFF");
  expect_error<Error>([&] { read_chat_format(folder_); }, "no UTF-8");
  write("chat_template.jinja", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n");
  expect_error<Error>([&] { read_chat_format(folder_); }, "LFS");
}

TEST_F(ChatFormatTest, GoesWithTheConfigThatAVersionKeeps) {
  ModelConfig config = preset("tiny");
  const ChatFormat format{"{{ 'ä\n' }}", {{"eos_token", "</s>"}}};
  set_chat_format(config, format, "it");
  const ModelConfig again = ModelConfig::from_json(config.to_json(), "it");
  EXPECT_EQ(chat_format_of(again), format);
  EXPECT_EQ(chat_files(again).at("chat_template.jinja"), format.template_text);
  set_chat_format(config, std::nullopt, "it");
  EXPECT_EQ(config, preset("tiny"));
  EXPECT_FALSE(chat_format_of(config).has_value());
  config.extra["mformer_chat"] = 7;
  expect_error<Error>([&] { chat_format_of(config); }, "none of mformer's");
}

}  // namespace
}  // namespace mformer
