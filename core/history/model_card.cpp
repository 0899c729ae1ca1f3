#include "core/history/model_card.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "core/formats/quoted_name.h"
#include "core/history/lineage.h"
#include "modules_registry/printable.h"

namespace mformer {
namespace {

using nlohmann::json;

constexpr std::size_t kLongestValue = 60;

/// Text from users or files, as code in Markdown: it can't end the span, the line or the cell of a table.
std::string code(const std::string& text) {
  std::string safe = printable(text);
  std::replace(safe.begin(), safe.end(), '`', '\'');
  std::replace(safe.begin(), safe.end(), '|', '/');
  return "`" + safe + "`";
}

/// What the table of a card says after the weights' dtype.
std::string quantised_in(const ModelConfig& config) {
  if (config.block_bits() != 0) return config.block_bits() == 8 ? ", matrices in int8" : ", matrices in int4";
  return config.is_quantized() ? ", modules in int8" : "";
}

std::string counted(std::size_t count, const char* noun) {
  return std::to_string(count) + ' ' + noun + (count == 1 ? "" : "s");
}

/// "1,234,567"
std::string grouped(std::int64_t number) {
  const std::string digits = std::to_string(number);
  std::string text;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0) text += ',';
    text += digits[i];
  }
  return text;
}

/// "4", or "3 to 5" where layers differ.
template <typename Count>
std::string range_over_layers(const ModelConfig& config, const Count& count) {
  std::int64_t least = count(0), most = least;
  for (std::int64_t layer = 1; layer < config.n_layer; ++layer) {
    least = std::min(least, count(layer)), most = std::max(most, count(layer));
  }
  return least == most ? std::to_string(most) : std::to_string(least) + " to " + std::to_string(most);
}

/// A value of an operation's arguments. Absolute paths say more of a machine than of a model.
std::string value_text(const json& value) {
  if (!value.is_string()) return value.dump(-1, ' ', false, json::error_handler_t::replace);
  const std::string text = value.get<std::string>();
  if (!text.starts_with('/')) return text;
  const std::filesystem::path path(text);
  return (path.has_filename() ? path.filename() : path.parent_path().filename()).string();
}

/// "train data=english steps=12": the arguments that were given or decided a result.
std::string command_text(const OperationRecord& operation) {
  std::string text = operation.command;
  const auto arguments = nlohmann::ordered_json::parse(operation.arguments_json, nullptr, /*allow_exceptions=*/false);
  if (!arguments.is_object()) return text;
  for (const auto& [name, value] : arguments.items()) {
    if (value.is_null() || value == false || value == "") continue;
    text += ' ' + name;
    if (value != true) text += '=' + shortened(value_text(value), kLongestValue);
  }
  return text;
}

std::string seed_text(const OperationRecord& operation) {
  return operation.seed == 0 ? "" : " (seed " + std::to_string(operation.seed) + ")";
}

class Card {
 public:
  Card(const Registry& registry, const VersionRecord& version, const Model& written, CardReaders readers)
      : registry_(registry), version_(version), model_(written), readers_(readers), line_(ancestry(registry, version)) {
    std::reverse(line_.begin(), line_.end());
    for_each_module(model_, [&](const Module& module) { here_.insert(module.uid); });
  }

  std::string text() {
    head();
    geometry();
    domains();
    history();
    births();
    usage();
    text_ << "\n## Licence\n\nTo be filled in, here and as `license:` at the top: what the licences of the checkpoint "
             "that it began with and of the texts it learned from allow.\n";
    return text_.str();
  }

 private:
  void head() {
    text_ << "---\nlibrary_name: " << (readers_ == CardReaders::mformer ? "mformer" : "transformers")
          << "\npipeline_tag: text-generation\ntags:\n- mformer\n- mixture-of-experts\n"
          << "# license: to be filled in\n---\n\n# " << code(to_string(version_))
          << "\n\nA modular language model, written by `mformer export`. "
          << "`mformer_provenance.json` has the identity and the origin of every module.\n\n";
  }

  void geometry() {
    const ModelConfig& config = model_.config;
    const auto bank = [&](Kind kind) {
      return range_over_layers(config, [&](std::int64_t layer) { return config.modules(kind, layer); }) + " a layer, " +
             range_over_layers(config, [&](std::int64_t layer) { return config.chosen(kind, layer); }) +
             " taken by a token";
    };
    text_ << "| | |\n|---|---|\n| family | " << config.family << " |\n| parameters | "
          << grouped(config.parameter_count()) << " |\n| of them for one token | "
          << grouped(config.active_parameter_count()) << " |\n| layers, width | " << config.n_layer << ", "
          << config.n_embd << " |\n| attention modules | " << bank(Kind::att) << " |\n| feed-forward modules | "
          << bank(Kind::mlp) << " |\n| context | " << grouped(config.block_size) << " tokens |\n| weights | "
          << config.torch_dtype << quantised_in(config) << " |\n";
  }

  void domains() {
    if (model_.domains.empty()) return;
    text_ << "\n## Domains\n\nThe model stands for several: `base`, and one a domain, which a posterior over the "
             "text's own tokens weighs against each other.\n\n";
    for (const Domain& domain : model_.domains) {
      std::size_t modules = 0;
      for_each_module(model_, [&](const Module& module) { modules += module.domain == domain.name ? 1 : 0; });
      text_ << "- " << code(domain.name) << ": " << counted(modules, "module") << " of its own, "
            << counted(domain.parts.size(), "private part") << (domain.alone ? ", nothing of the base" : "") << '\n';
    }
  }

  void history() {
    text_ << "\n## How it was made\n\n";
    for (const VersionRecord& step : line_) {
      const OperationRecord operation = registry_.operation(step.operation_id);
      text_ << "1. " << code(to_string(step)) << ": " << code(command_text(operation)) << seed_text(operation) << '\n';
    }
    const std::vector<std::string> tasks = tasks_trained_until(registry_, version_);
    for (std::size_t i = 0; i < tasks.size(); ++i) text_ << (i == 0 ? "\nTrained on " : ", ") << code(tasks[i]);
    text_ << (tasks.empty() ? "" : ".\n");
  }

  /// How many modules each command gave birth to, and how many of the first version's are left.
  void births() {
    std::map<std::pair<std::string, std::string>, std::size_t> born;
    for (const ModuleRecord& record : registry_.modules(version_.hash)) {
      if (here_.count(record.uid) != 0) ++born[{record.born_command, record.born_task}];
    }
    text_ << "\n## Modules\n\n| born by | for | modules |\n|---|---|---|\n";
    for (const auto& [birth, count] : born) {
      text_ << "| " << birth.first << " | " << (birth.second.empty() ? "" : code(birth.second)) << " | " << count
            << " |\n";
    }
    std::size_t first = 0, left = 0;
    for (const ModuleRecord& record : registry_.modules(line_.front().hash)) {
      ++first;
      left += here_.count(record.uid);
    }
    if (left == first) return;
    text_ << "\nOf the " << counted(first, "module") << " of " << code(to_string(line_.front())) << ", " << left
          << (left == 1 ? " is" : " are") << " in it: " << (100 * (first - left) + first / 2) / first
          << " % were pruned, or belong to what was not written.\n";
  }

  void usage() {
    text_ << "\n## Use\n\n    mformer import FOLDER && mformer generate --prompt TEXT\n";
    if (readers_ == CardReaders::mformer) {
      text_ << "\nOnly mformer reads this layout; `mformer export --for transformers` writes one that transformers "
               "loads.\n";
    } else if (readers_ == CardReaders::family) {
      text_ << "\nThe model class of its family, `" << model_.config.family << "`, loads it too.\n";
    } else {
      text_ << "    AutoModelForCausalLM.from_pretrained(\"FOLDER\", trust_remote_code=True)  # transformers\n\n"
               "The second runs `modeling_mformer.py`, which lies beside the weights.\n";
    }
  }

  const Registry& registry_;
  const VersionRecord& version_;
  Model model_;  // handles
  CardReaders readers_;
  std::vector<VersionRecord> line_;  ///< The first version first.
  std::set<std::string> here_;       ///< uids
  std::ostringstream text_;
};

}  // namespace

std::string model_card(const Registry& registry, const VersionRecord& version, const Model& written,
                       CardReaders readers) {
  return Card(registry, version, written, readers).text();
}

}  // namespace mformer
