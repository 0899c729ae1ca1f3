#include <filesystem>
#include <iostream>
#include <optional>

#include "cli/command.h"
#include "cli/commands.h"
#include "cli/registry_workspace.h"
#include "cli/standard_streams.h"
#include "cli/terminal/report.h"
#include "cli/terminal/text.h"
#include "core/formats/input_file.h"
#include "core/formats/model_config.h"
#include "core/text/chat_template.h"
#include "core/text/tokenizer.h"
#include "modules_registry/files.h"

namespace mformer::cli {
namespace {

struct ShowChatFlags {
  std::string tokenizer, messages, chat_template;
  bool ask = false;
};

/// What writes a conversation: files, or a version.
struct ChatWriter {
  Tokenizer tokenizer;
  std::optional<ChatFormat> format;
  std::string source;
  std::int64_t bos = -1, eos = -1;  ///< As the model's config has them.
};

ChatWriter writer_of_files(const std::string& file) {
  const std::filesystem::path folder = std::filesystem::path(file).parent_path();
  return {Tokenizer::load(file), read_chat_format(folder), "the chat template beside '" + file + "'"};
}

ChatWriter writer_of_version(const GlobalOptions& global) {
  RegistryWorkspace workspace(global, "tokenizer chat", OpenMode::read_only);
  const VersionRecord version = workspace.version();
  const Manifest manifest = workspace.registry().manifest(version.hash);
  const std::string name = to_string(version);
  if (manifest.tokenizer_object.empty()) {
    throw Error("model '" + name + "' has no tokenizer", "name one: --tokenizer tokenizer.json");
  }
  const Tokenizer tokenizer = Tokenizer::from_json(
      read_file(workspace.registry().objects().verified_path(manifest.tokenizer_object)), "the tokenizer of " + name);
  const ModelConfig config = ModelConfig::from_json(manifest.config_json, "the config of " + name);
  return {tokenizer, chat_format_of(config), "the chat template of " + name, config.bos_token_id, config.eos_token_id};
}

ChatWriter open_writer(const ShowChatFlags& flags, const GlobalOptions& global) {
  ChatWriter writer = flags.tokenizer.empty() ? writer_of_version(global) : writer_of_files(flags.tokenizer);
  if (!flags.chat_template.empty()) {
    ChatFormat named = read_chat_template(flags.chat_template);
    if (writer.format) named.tokens = writer.format->tokens;
    writer.format = std::move(named);
    writer.source = "the chat template in '" + flags.chat_template + "'";
  }
  if (!writer.format) {
    throw Error("there is no chat template beside the tokenizer", "name one: --chat-template chat_template.jinja");
  }
  writer.format = with_token_names(*std::move(writer.format), writer.tokenizer, writer.bos, writer.eos);
  return writer;
}

/// The stretches on which the loss is; a cut at which it goes on ends none. None where no answer can be learned from.
std::vector<std::string> learned(const ChatTemplate& chat, const std::vector<ChatMessage>& messages) {
  std::vector<std::string> parts;
  ChatDocument document;
  try {
    document = chat.document(messages);
  } catch (const JinjaRefusal&) {
    return parts;
  }
  std::size_t last = std::string::npos;
  for (std::size_t i = 0; i < document.edges.size(); i += 2) {
    const std::size_t begin = document.edges[i];
    const std::size_t end = i + 1 < document.edges.size() ? document.edges[i + 1] : document.text.size();
    if (begin == end) continue;
    if (begin != last) parts.emplace_back();
    parts.back() += document.text.substr(begin, end - begin);
    last = end;
  }
  return parts;
}

void run_chat(const ShowChatFlags& flags, const GlobalOptions& global) {
  const ChatWriter writer = open_writer(flags, global);
  const std::vector<ChatMessage> messages =
      flags.messages.empty() ? parse_messages(read_standard_input(), "standard input")
                             : parse_messages(read_bounded_file(flags.messages, kMostJsonBytes, "a conversation"),
                                              "'" + flags.messages + "'");
  const ChatTemplate chat(*writer.format, writer.tokenizer, writer.source);
  const ChatText written = chat.write(messages, flags.ask);
  terminal::Report report("tokenizer chat", global.json);
  report.data() = {{"text", written.text},
                   {"ids", encode_chat(writer.tokenizer, written)},
                   {"turn_end", chat.turn_end()},
                   {"learned", nlohmann::ordered_json::array()}};
  if (!flags.ask) report.data()["learned"] = learned(chat, messages);
  // A conversation from elsewhere can hold escape sequences: a terminal must not obey them.
  report.print_unchanged(report.style().terminal ? terminal::printable_lines(written.text) : written.text);
  report.print();
}

}  // namespace

void setup_tokenizer_chat(CLI::App& parent, const GlobalOptions& global) {
  auto flags = std::make_shared<ShowChatFlags>();
  CLI::App* command = add_command(
      parent, {"chat", "", "Show how the chat template writes a conversation: JSON messages from standard input",
               "mformer tokenizer chat --messages chat.json"});
  command->add_option("--messages", flags->messages, "A JSON file of messages instead of standard input")
      ->type_name("FILE");
  command->add_flag("--ask", flags->ask, "End where the assistant is to speak, as generate --chat does");
  command
      ->add_option("--tokenizer", flags->tokenizer,
                   "A tokenizer.json or tokenizer.model with its template beside it; default: the model's own")
      ->type_name("FILE");
  command->add_option("--chat-template", flags->chat_template, "A Jinja template instead of that")->type_name("FILE");
  command->callback([flags, &global] { run_chat(*flags, global); });
}

}  // namespace mformer::cli
