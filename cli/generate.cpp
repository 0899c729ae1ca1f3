#include "core/workflows/generate.h"

#include <algorithm>
#include <iostream>

#include "cli/chat_options.h"
#include "cli/command.h"
#include "cli/commands.h"
#include "cli/computes.h"
#include "cli/describe.h"
#include "cli/interrupt.h"
#include "cli/terminal/format.h"
#include "cli/terminal/report.h"
#include "cli/terminal/text.h"
#include "cli/validators.h"
#include "cli/workspace.h"
#include "core/device/device.h"
#include "core/model/domains.h"
#include "core/model/posterior.h"
#include "core/text/utf8.h"
#include "core/training/retain_memory.h"

namespace mformer::cli {
namespace {

double tokens_per_second(const Generated& result) {
  return result.seconds > 0 ? static_cast<double>(result.tokens) / result.seconds : 0.0;
}

/// Of a model with domains: how many hypotheses ran to the end, and what that can have changed.
std::string what_ran(const Generated& result) {
  const auto given_up = std::count(result.weights.begin(), result.weights.end(), 0.0);
  const auto all = static_cast<std::ptrdiff_t>(result.weights.size());
  std::string text = std::to_string(all - given_up) + " of " + std::to_string(all) + " hypotheses ran to the end: ";
  if (!result.bound) return text + "some were given up inside the prompt, with no bound on what they would change";
  return text + "with all of them the text is less likely by at most " +
         terminal::format_at_most(*result.bound).substr(1) + " nats";
}

/// The conversation with the answer at its end: what --messages reads.
nlohmann::ordered_json messages_json(const ChatRequest& chat, const std::string& answer) {
  auto list = nlohmann::ordered_json::array();
  for (const ChatMessage& message : chat.messages) {
    list.push_back({{"role", message.role}, {"content", replace_invalid_utf8(message.content)}});
  }
  list.push_back({{"role", "assistant"}, {"content", answer}});
  return list;
}

void run_generate(GenerateOptions options, const ChatFlags& flags, const std::optional<std::string>& prompt,
                  const GlobalOptions& global) {
  options.chat = chat_request(flags, prompt);
  options.prompt = prompt.value_or("");
  options.seed = global.seed.value_or(0);
  options.device = open_device(global.device);
  options.validate();
  retain_freed_memory();  // that of the weights, as they are stored, for those that are packed
  Workspace workspace(global, "generate", OpenMode::read_only);
  LoadedVersion version = workspace.load();
  const VersionRecord record = version.record;
  const std::vector<std::string> names = hypotheses(version.model);
  terminal::Report report("generate", global.json);
  // A model can write escape sequences: a terminal must not obey them, a pipe gets what the model wrote.
  const auto show = [&report](const std::string& text) {
    report.print_unchanged(report.style().terminal ? terminal::printable_lines(text) : text);
  };
  const Generated result = generate(std::move(version), options, show, [] { return interrupted(); });
  report.data() = {{"model", to_string(record)},
                   {"hash", record.hash},
                   {"model_version", version_json(record)},
                   {"prompt", replace_invalid_utf8(result.prompt)},
                   {"text", result.text},
                   {"prompt_tokens", result.prompt_tokens},
                   {"tokens", result.tokens},
                   {"stopped_by", result.stopped_by},
                   {"seconds", result.seconds},
                   {"tokens_per_second", tokens_per_second(result)}};
  if (options.chat) report.data()["messages"] = messages_json(*options.chat, result.text);
  if (result.weights.size() > 1) {
    for (std::size_t h = 0; h < names.size(); ++h) report.data()["weights"][names[h]] = result.weights[h];
    report.data()["mode"] = to_string(PosteriorMode::fast);
    report.data()["bound"] = result.bound ? nlohmann::ordered_json(*result.bound) : nlohmann::ordered_json(nullptr);
  }
  report.text() << '\n';
  report.print();
  if (interrupted()) throw Interrupted("stopped after " + std::to_string(result.tokens) + " tokens");
  if (global.quiet) return;
  std::cerr << result.tokens << " tokens in " << terminal::format_duration(result.seconds) << " ("
            << terminal::format_rate(tokens_per_second(result), "tokens") << "), ended by " << result.stopped_by
            << '\n';
  if (result.weights.size() > 1) std::cerr << what_ran(result) << '\n';
}

}  // namespace

void setup_generate(CLI::App& parent, const GlobalOptions& global) {
  auto options = std::make_shared<GenerateOptions>();
  auto prompt = std::make_shared<std::optional<std::string>>();
  auto chat = std::make_shared<ChatFlags>();
  CLI::App* command = add_command(parent, {"generate", groups::inspect, "Continue a text",
                                           "mformer generate --prompt 'Once upon a time' --max-tokens 50"});
  command->add_option("--prompt", *prompt, "Text to continue; default: nothing, a new document begins")
      ->type_name("TEXT");
  add_chat_options(*command, *chat);
  command->add_option("--max-tokens", options->max_tokens, "Stop after so many tokens")->check(positive_integer());
  command
      ->add_option("--temperature", options->temperature,
                   "Above 1 more daring, below 1 safer, 0 = always the likeliest token")
      ->check(non_negative_number());
  command->add_option("--top-k", options->top_k, "Draw from the N likeliest tokens; default: from all")
      ->check(positive_integer());
  command
      ->add_option("--top-p", options->top_p,
                   "Draw from the likeliest tokens that together have this probability, 1 = all")
      ->check(fraction());
  command->add_option("--stop", options->stop, "Stop before any of these texts appears")->type_name("TEXT");
  command
      ->add_option("--dtype", options->dtype,
                   "Compute in float32, bfloat16, int8 or int4 (8 or 4 bits a weight, less exact and faster); "
                   "default: as the model is stored")
      ->type_name("float32|bfloat16|int8|int4");
  command
      ->add_option("--domain", options->domain,
                   "Write as one domain, or base; default: the posterior over births decides by the prompt")
      ->type_name("NAME");
  computes(
      *command,
      [options, chat] {
        require_chat(*chat);
        options->validate();
      },
      [options, chat, prompt, &global] { run_generate(*options, *chat, *prompt, global); });
}

}  // namespace mformer::cli
