#include <filesystem>
#include <iostream>

#include "cli/command.h"
#include "cli/commands.h"
#include "cli/fields_option.h"
#include "cli/left_out.h"
#include "cli/output_file.h"
#include "cli/registry_workspace.h"
#include "cli/standard_streams.h"
#include "cli/terminal/format.h"
#include "cli/terminal/report.h"
#include "cli/token_ids.h"
#include "cli/validators.h"
#include "core/text/bpe_trainer.h"
#include "modules_registry/error.h"
#include "modules_registry/files.h"

namespace mformer::cli {
namespace {

struct TrainFlags {
  std::string data, fields;
  std::string out = "tokenizer.json";
  BpeTrainOptions options;
  bool overwrite = false;
  bool dry_run = false;
};

struct CodeFlags {
  std::string tokenizer;
  std::optional<std::string> text;
  bool lines = false;
  bool bare = false;
};

/// --tokenizer, or the current model's.
Tokenizer open_tokenizer(const CodeFlags& flags, const GlobalOptions& global) {
  if (!flags.tokenizer.empty()) return Tokenizer::load(flags.tokenizer);
  RegistryWorkspace workspace(global, "tokenizer", OpenMode::read_only);
  const VersionRecord version = workspace.version();
  const std::string object = workspace.registry().manifest(version.hash).tokenizer_object;
  if (object.empty()) {
    throw Error("model '" + to_string(version) + "' has no tokenizer", "name one: --tokenizer tokenizer.json");
  }
  return Tokenizer::from_json(read_file(workspace.registry().objects().verified_path(object)),
                              "the tokenizer of " + to_string(version));
}

bool is_tokenizer(const std::string& path) {
  try {
    Tokenizer::load(path);
    return true;
  } catch (const Error&) {
    return false;
  }
}

void run_train(const TrainFlags& flags, const GlobalOptions& global) {
  require_output(flags.out, "tokenizer", is_tokenizer);
  std::error_code ignored;
  if (!flags.overwrite && std::filesystem::exists(flags.out, ignored)) {
    throw Error("'" + flags.out + "' exists already", "choose another name with --out, or add --overwrite");
  }
  terminal::Report report("tokenizer train", global.json);
  report.data()["dry_run"] = flags.dry_run;
  report.data()["file"] = flags.out;
  if (flags.dry_run) {
    const CorpusListing corpus = list_corpus(flags.data);
    report.data().update({{"files", corpus.files.size()}, {"text_bytes", corpus.total_bytes}});
    report.text() << "would learn " << flags.out << " from " << corpus.files.size() << " files, "
                  << terminal::format_bytes(static_cast<std::uint64_t>(corpus.total_bytes)) << '\n';
    return report.print();
  }
  CorpusSummary read;
  const Tokenizer tokenizer =
      train_bpe(std::filesystem::path(flags.data), flags.options, RecordFields::parse(flags.fields), &read);
  tokenizer.save(flags.out);
  report.data().update(
      {{"vocab_size", tokenizer.vocab_size()}, {"hash", tokenizer.hash()}, {"left_out", left_out_json(read)}});
  report.text() << "wrote " << flags.out << ", a vocabulary of " << terminal::format_count(tokenizer.vocab_size())
                << '\n';
  if (tokenizer.vocab_size() < flags.options.vocab_size) {
    report.text() << "the text has no more pairs that occur twice, so it is smaller than asked for\n";
  }
  report.text() << left_out_lines(read);
  report.print();
}

void run_encode(const CodeFlags& flags, const GlobalOptions& global) {
  const Tokenizer tokenizer = open_tokenizer(flags, global);
  const std::string text = flags.text.has_value() ? *flags.text : read_standard_input();
  const EncodeOptions options{.with_frame = !flags.bare};
  if (!flags.lines) {
    const std::vector<int32_t> ids = tokenizer.encode(text, options);
    return terminal::write_all(std::cout, global.json ? as_json_line(ids) : as_plain_line(ids));
  }
  std::string out;
  for (const std::string_view line : lines_of(text)) out += as_json_line(tokenizer.encode(line, options));
  terminal::write_all(std::cout, out);
}

void run_decode(const CodeFlags& flags, const GlobalOptions& global) {
  const Tokenizer tokenizer = open_tokenizer(flags, global);
  const std::string input = read_standard_input();
  std::string out;
  int64_t number = 0;
  for (const std::string_view line : lines_of(input)) {
    ++number;
    out += tokenizer.decode(known_ids(tokenizer, line, number));
    if (flags.lines) out += '\n';
  }
  if (!global.json) return terminal::write_all(std::cout, out);
  terminal::Report report("tokenizer decode", true);
  report.data()["text"] = out;
  report.print();
}

void setup_tokenizer_train(CLI::App& group, const GlobalOptions& global) {
  auto flags = std::make_shared<TrainFlags>();
  CLI::App* command = add_command(group, {"train", "", "Learn a byte-level BPE vocabulary from text",
                                          "mformer tokenizer train --data english/ --vocab-size 4096"});
  command->add_option("--data", flags->data, "Folder or file of text, source code or .jsonl")
      ->type_name("DIR")
      ->required();
  add_fields_flag(*command, flags->fields);
  command
      ->add_option("--vocab-size", flags->options.vocab_size,
                   "Tokens in all, at least 257: the 256 bytes, the end of text, and learned ones")
      ->check(positive_integer())
      ->required();
  command->add_option("--out", flags->out, "File to write; default: tokenizer.json")->type_name("FILE");
  command->add_option("--max-bytes", flags->options.max_bytes, "About how many bytes to learn from, 0 = all")
      ->check(non_negative_integer());
  command->add_flag("--overwrite", flags->overwrite,
                    "Replace a tokenizer that is there; no other file is ever replaced");
  add_dry_run(*command, flags->dry_run);
  command->callback([flags, &global] { run_train(*flags, global); });
}

void add_tokenizer_option(CLI::App& command, CodeFlags& flags) {
  command
      .add_option("--tokenizer", flags.tokenizer,
                  "A tokenizer.json, tokenizer.model or .gguf file; default: the model's own")
      ->type_name("FILE");
}

void setup_encode(CLI::App& group, const GlobalOptions& global) {
  auto flags = std::make_shared<CodeFlags>();
  CLI::App* command = add_command(
      group, {"encode", "", "Turn a text from standard input into ids: numbers on one line, with --json an array",
              "mformer tokenizer encode --text 'Hello there'"});
  add_tokenizer_option(*command, *flags);
  command->add_option("--text", flags->text, "Text to encode instead of standard input")->type_name("TEXT");
  command->add_flag("--lines", flags->lines, "Each line is a text of its own and gives a line with a JSON array");
  command->add_flag("--bare", flags->bare, "Leave out the tokens that the file's template puts around a text");
  command->callback([flags, &global] { run_encode(*flags, global); });
}

void setup_decode(CLI::App& group, const GlobalOptions& global) {
  auto flags = std::make_shared<CodeFlags>();
  CLI::App* command =
      add_command(group, {"decode", "", "Turn ids from standard input, numbers or JSON arrays, into the exact text",
                          "mformer tokenizer decode < ids.txt"});
  add_tokenizer_option(*command, *flags);
  command->add_flag("--lines", flags->lines, "Each line is a text of its own, and is ended by a line feed");
  command->callback([flags, &global] { run_decode(*flags, global); });
}

}  // namespace

void setup_tokenizer(CLI::App& parent, const GlobalOptions& global) {
  CLI::App* group = add_command_group(parent, {"tokenizer", groups::data, "Learn a vocabulary; text to ids and back",
                                               "mformer tokenizer train --data english/ --vocab-size 4096"});
  setup_tokenizer_train(*group, global);
  setup_encode(*group, global);
  setup_decode(*group, global);
  setup_tokenizer_chat(*group, global);
}

}  // namespace mformer::cli
