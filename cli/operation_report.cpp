#include "cli/operation_report.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include "cli/describe.h"
#include "cli/loss_curve.h"
#include "cli/terminal/format.h"
#include "cli/terminal/table.h"
#include "cli/terminal/text.h"
#include "modules_registry/shell_word.h"

namespace mformer::cli {
namespace {

using nlohmann::ordered_json;
using terminal::Table;

/// The words of TypedCommand::line; none where it has none.
std::vector<std::string> words_of(const TypedCommand& typed) {
  const ordered_json words = ordered_json::parse(typed.line, nullptr, /*allow_exceptions=*/false);
  if (!words.is_array()) return {};
  std::vector<std::string> texts;
  for (const ordered_json& word : words) {
    if (word.is_string()) texts.push_back(word.get<std::string>());
  }
  return texts;
}

ordered_json arguments_json(const OperationRecord& operation) {
  ordered_json arguments = ordered_json::parse(operation.arguments_json, nullptr, /*allow_exceptions=*/false);
  return arguments.is_discarded() ? ordered_json(operation.arguments_json) : arguments;
}

ordered_json data_json(const OperationRecord& operation) {
  ordered_json rows = ordered_json::array();
  for (const OperationData& data : operation.data) {
    rows.push_back(
        {{"role", data.role}, {"task", data.task}, {"path", data.path}, {"content_hash", data.content_hash}});
  }
  return rows;
}

void write_facts(std::ostream& text, const OperationRecord& operation, VersionsByHash& versions) {
  const std::string typed = typed_text(operation.typed);
  text << "operation  " << operation.id << ": " << operation.command << ", " << to_string(operation.outcome) << '\n';
  if (!typed.empty()) text << "typed      mformer " << typed << "\nin         " << operation.typed.folder << '\n';
  text << "began      " << utc_time(operation.started_ms) << " UTC\n";
  if (operation.ended_ms != 0) {
    const double seconds = static_cast<double>(operation.ended_ms - operation.started_ms) / 1000.0;
    text << "ended      " << utc_time(operation.ended_ms) << " UTC, after " << terminal::format_duration(seconds)
         << '\n';
  }
  if (!operation.message.empty()) text << "said       " << operation.message << '\n';
  if (!operation.model.empty()) text << "model      " << operation.model << '\n';
  text << "before     " << versions.name(operation.version_before) << "\nafter      "
       << versions.name(operation.version_after) << tags_text(versions.tags(operation.version_after)) << "\nseed       "
       << operation.seed << '\n';
  if (operation.typed.threads > 0) text << "threads    " << operation.typed.threads << '\n';
  text << "program    mformer " << operation.code_version << '\n';
}

void write_arguments(terminal::Report& report, const OperationRecord& operation) {
  const ordered_json arguments = arguments_json(operation);
  if (!arguments.is_object() || arguments.empty()) return;
  Table table({{"argument", terminal::Align::left}, {"value", terminal::Align::left}});
  for (const auto& [name, value] : arguments.items()) {
    table.add_row({name, value.is_string() ? value.get<std::string>() : value.dump()});
  }
  report.text() << '\n' << table.str(report.style());
}

void write_data(terminal::Report& report, const OperationRecord& operation) {
  if (operation.data.empty()) return;
  Table table({{"data"}, {"task"}, {"content", terminal::Align::left}, {"path"}});
  for (const OperationData& data : operation.data) {
    table.add_row({data.role, data.task.empty() ? "-" : data.task, short_hash(data.content_hash), data.path});
  }
  report.text() << '\n' << table.str(report.style());
}

}  // namespace

VersionsByHash::VersionsByHash(const Registry& registry, bool all) : registry_(registry) {
  for (const TagRecord& tag : registry.tags()) tags_[tag.version].push_back(tag.name);
  if (!all) return;
  for (const ModelRecord& model : registry.models()) {
    for (VersionRecord& version : registry.versions(model.name)) {
      std::string hash = version.hash;
      known_.emplace(std::move(hash), std::move(version));
    }
  }
}

const VersionRecord& VersionsByHash::at(const std::string& hash) {
  const auto found = known_.find(hash);
  return found != known_.end() ? found->second : known_.emplace(hash, registry_.version(hash)).first->second;
}

ordered_json VersionsByHash::json(const std::string& hash) {
  return hash.empty() ? ordered_json() : version_json(at(hash));
}

std::string VersionsByHash::name(const std::string& hash) {
  return hash.empty() ? "-" : version_name(at(hash));
}

const std::vector<std::string>& VersionsByHash::tags(const std::string& hash) const {
  static const std::vector<std::string> none;
  const auto found = tags_.find(hash);
  return found == tags_.end() ? none : found->second;
}

std::string typed_text(const TypedCommand& typed) {
  std::string text;
  for (const std::string& word : words_of(typed)) text += (text.empty() ? "" : " ") + shell_word(word);
  return text;
}

std::string command_text(const OperationRecord& operation) {
  std::string text = typed_text(operation.typed);
  if (!text.empty()) return text;
  text = operation.command;
  for (const OperationData& data : operation.data) text += ' ' + (data.task.empty() ? data.path : data.task);
  return text;
}

namespace {

constexpr const char* kScriptBegins =
    "#!/usr/bin/env bash\n"
    "set -e\n"
    "here=$(cd \"${1:?name the folder in which to do it again}\" && pwd)\n";

std::string change_folder(const std::filesystem::path& workspace, const std::string& folder) {
  const std::filesystem::path way = std::filesystem::path(folder).lexically_relative(workspace);
  if (way.empty() || *way.begin() == "..") return "cd " + shell_word(folder) + '\n';
  return way == "." ? "cd \"$here\"\n" : "cd \"$here\"/" + shell_word(way.string()) + '\n';
}

/// With the script's folder as the workspace, where one was named: the old one may be another by now, of which this is
/// a copy.
std::string line_of_script(const std::vector<std::string>& words) {
  const std::string option = "--workspace";
  std::string line = "mformer";
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (words[i] == option || words[i].starts_with(option + '=')) {
      line += ' ' + option + " \"$here\"";
      if (words[i] == option) ++i;
    } else {
      line += ' ' + shell_word(words[i]);
    }
  }
  return line + '\n';
}

/// `use base@1` of a program before `move` came moved the model, and does not any more.
std::vector<std::string> with_its_meaning_of_then(const OperationRecord& operation, std::vector<std::string> words) {
  const auto use = std::find(words.begin(), words.end(), "use");
  if (operation.command != "use" || operation.version_after.empty() || use == words.end()) return words;
  *use = "move";
  words.insert(use + 1, operation.model);
  return words;
}

}  // namespace

std::string script_of(const std::vector<OperationRecord>& operations, const std::filesystem::path& workspace) {
  std::string script = kScriptBegins, folder;
  for (auto operation = operations.rbegin(); operation != operations.rend(); ++operation) {
    const std::vector<std::string> words = words_of(operation->typed);
    const std::string name = "# operation " + std::to_string(operation->id) + ", " + operation->command;
    if (!operation->origin.empty()) continue;  // done elsewhere: what brought it here is in the log too
    if (operation->outcome != Outcome::done) {
      script += name + ": " + std::string(to_string(operation->outcome)) + '\n';
    } else if (words.empty()) {
      script += name + ": " +
                (operation->command == "receive" ? "another workspace's push brought it\n"
                                                 : "an older program did not keep how it was typed\n");
    } else {
      if (operation->typed.folder != folder) script += change_folder(workspace, operation->typed.folder);
      folder = operation->typed.folder;
      script += line_of_script(with_its_meaning_of_then(*operation, words));
    }
  }
  return script;
}

ordered_json operation_json(const OperationRecord& operation, VersionsByHash& versions) {
  const std::vector<std::string> words = words_of(operation.typed);
  return {{"id", operation.id},
          {"command", operation.command},
          {"command_line", words.empty() ? ordered_json() : ordered_json(words)},
          {"folder", words.empty() ? ordered_json() : ordered_json(operation.typed.folder)},
          {"arguments", arguments_json(operation)},
          {"seed", operation.seed},
          {"threads", operation.typed.threads == 0 ? ordered_json() : ordered_json(operation.typed.threads)},
          {"code_version", operation.code_version},
          {"started_ms", operation.started_ms},
          {"ended_ms", operation.ended_ms},
          {"outcome", to_string(operation.outcome)},
          {"message", operation.message},
          {"origin", operation.origin.empty() ? ordered_json() : ordered_json(operation.origin)},
          {"model", operation.model},
          {"before", versions.json(operation.version_before)},
          {"after", versions.json(operation.version_after)},
          {"after_tags", versions.tags(operation.version_after)},
          {"data", data_json(operation)}};
}

void report_operation(terminal::Report& report, const Registry& registry, const OperationRecord& operation,
                      VersionsByHash& versions) {
  report.data()["operations"] = ordered_json::array({operation_json(operation, versions)});
  write_facts(report.text(), operation, versions);
  write_arguments(report, operation);
  write_data(report, operation);
  report_curve(report, find_run(registry, operation));
}

}  // namespace mformer::cli
