#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace mformer {

struct ModelConfig;

/// How the conversations of a model are written: the Jinja template that came with its tokenizer, and the names that
/// the template knows its special tokens by. Kept in the model's config, so that each version has it and its hash
/// covers it.
struct ChatFormat {
  std::string template_text;                  ///< UTF-8, as its author wrote it; never empty.
  std::map<std::string, std::string> tokens;  ///< "bos_token" → "<s>", "eos_token" → "</s>", …: what is known of them.

  bool operator==(const ChatFormat&) const = default;
};

/// A longer template is refused: the longest of published models has some tens of kilobytes.
inline constexpr std::size_t kLongestChatTemplate = 1UL << 20U;

/// The format of a model, if it has one. Throws Error when the config's field is not as set_chat_format() writes it.
std::optional<ChatFormat> chat_format_of(const ModelConfig& config);

/// Gives a model this format, or takes it away. Throws Error, naming `source`, when the template is empty, too long or
/// no UTF-8; that it can be read as a template is ChatTemplate's question (core/text/chat_template.h).
void set_chat_format(ModelConfig& config, const std::optional<ChatFormat>& format, const std::string& source);

/// What the files beside a tokenizer say: `chat_template.jinja`, or else `chat_template` in tokenizer_config.json, a
/// text or a list of named ones of which `default` counts; the names of tokens from tokenizer_config.json. Nothing when
/// there is no template. Throws Error for a file that is there and can't be read.
std::optional<ChatFormat> read_chat_format(const std::filesystem::path& folder);

/// A template that a user names, with no names of tokens. Throws Error when it can't be read, or as set_chat_format().
ChatFormat read_chat_template(const std::filesystem::path& file);

/// The files as other programs look for them: `chat_template.jinja`, where transformers 5 keeps it.
std::map<std::string, std::string> chat_files(const ModelConfig& config);

/// The config without its format, as it stands in an export, where the files tell it.
void remove_chat_format(ModelConfig& config);

}  // namespace mformer
