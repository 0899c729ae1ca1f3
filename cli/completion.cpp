#include <iostream>

#include "cli/command.h"
#include "cli/commands.h"
#include "cli/complete.h"
#include "cli/completion_scripts.h"
#include "cli/describe.h"
#include "cli/registry_workspace.h"
#include "cli/terminal/report.h"
#include "cli/terminal/text.h"

namespace mformer::cli {
namespace {

constexpr std::size_t most_versions = 200;
constexpr int most_operations = 50;

/// The names of models and tags; behind an '@', the numbers of the model's versions, the newest first.
std::vector<Candidate> version_names(const Registry& registry, const std::string& word) {
  std::vector<Candidate> names;
  const std::size_t at = word.find('@');
  for (const ModelRecord& model : registry.models()) {
    if (at == std::string::npos) {
      names.push_back({model.name, "model, now " + version_name(registry, model.current_version)});
    } else if (word.substr(0, at) == model.name) {
      const std::vector<VersionRecord> versions = registry.versions(model.name);
      for (auto version = versions.rbegin(); version != versions.rend() && names.size() < most_versions; ++version) {
        names.push_back({to_string(*version), "made " + utc_time(version->created_ms)});
      }
    }
  }
  if (at != std::string::npos) return names;
  for (const TagRecord& tag : registry.tags()) {
    names.push_back({tag.name, "tag of " + version_name(registry, tag.version)});
  }
  return names;
}

/// The hypotheses of a version with domains, as its config names them.
std::vector<Candidate> domain_names(const Registry& registry, const std::string& model) {
  const std::string config = registry.manifest(registry.resolve(model).hash).config_json;
  const auto fields = nlohmann::json::parse(config, nullptr, /*allow_exceptions=*/false);
  if (!fields.is_object() || !fields.contains("mformer_domains")) return {};
  std::vector<Candidate> names = {{"base", "without a domain"}};
  for (const auto& domain : fields["mformer_domains"]) names.push_back({domain.value("name", ""), "domain"});
  return names;
}

/// What was done last, the newest first.
std::vector<Candidate> operation_numbers(const Registry& registry) {
  std::vector<Candidate> numbers;
  for (const OperationRecord& operation : registry.operations(most_operations)) {
    numbers.push_back({std::to_string(operation.id), operation.command + ", " + utc_time(operation.started_ms)});
  }
  return numbers;
}

std::vector<Candidate> names_in(const Registry& registry, const NameQuery& query) {
  std::vector<Candidate> names;
  switch (query.what) {
    case Named::version:
      return version_names(registry, query.word);
    case Named::thing:
      names = version_names(registry, query.word);
      [[fallthrough]];
    case Named::task:
      for (const TaskRecord& task : registry.tasks())
        names.push_back({task.name, "task, " + terminal::printable(task.data_path)});
      break;
    case Named::model:
      for (const ModelRecord& model : registry.models()) {
        names.push_back({model.name, "model, now " + version_name(registry, model.current_version)});
      }
      break;
    case Named::tag:
      for (const TagRecord& tag : registry.tags()) {
        names.push_back({tag.name, "tag of " + version_name(registry, tag.version)});
      }
      break;
    case Named::domain:
      return domain_names(registry, query.model);
    case Named::operation:
      return operation_numbers(registry);
    default:
      break;
  }
  return names;
}

/// Without a workspace, or with a damaged one, there are no names: a shell that completes is no place for errors.
std::vector<Candidate> find_names(const NameQuery& query, GlobalOptions global) {
  if (!query.workspace.empty()) global.workspace = query.workspace;
  try {
    return names_in(Registry::open(workspace_folder(global), OpenMode::read_only), query);
  } catch (const std::exception&) {
    return {};
  }
}

std::vector<std::string> words_on(std::istream& in) {
  std::vector<std::string> words;
  for (std::string line; std::getline(in, line);) words.push_back(line);
  return words;
}

const char* paths_word(Named paths) {
  return paths == Named::file ? "files" : paths == Named::folder ? "folders" : "words";
}

void run_candidates(const CLI::App& root, const GlobalOptions& global) {
  const auto names = [&global](const NameQuery& query) { return find_names(query, global); };
  const Completion found = complete(root, words_on(std::cin), names);
  terminal::Report report("completion candidates", global.json);
  report.data()["kind"] = paths_word(found.paths);
  auto& rows = report.data()["candidates"] = nlohmann::ordered_json::array();
  report.text() << paths_word(found.paths) << '\n';
  for (const Candidate& candidate : found.candidates) {
    rows.push_back({{"text", candidate.text}, {"description", candidate.description}});
    report.text() << candidate.text << '\t' << candidate.description << '\n';
  }
  report.print();
}

void setup_script(CLI::App& group, const GlobalOptions& global, const std::string& shell, const char* script,
                  const std::string& example) {
  CLI::App* command = add_command(group, {shell, "", "Print what " + shell + " reads to complete mformer", example});
  command->callback([shell, script, &global] {
    terminal::Report report("completion " + shell, global.json);
    report.data()["script"] = script;
    report.print_unchanged(script);
    report.print();
  });
}

}  // namespace

void setup_completion(CLI::App& parent, const GlobalOptions& global) {
  CLI::App* group = add_command_group(parent, {"completion", groups::shell, "Let a shell complete commands and names",
                                               "source <(mformer completion bash)"});
  setup_script(*group, global, "bash", bash_completion, "mformer completion bash > mformer.bash");
  setup_script(*group, global, "zsh", zsh_completion, "mformer completion zsh > _mformer");
  setup_script(*group, global, "fish", fish_completion, "mformer completion fish > mformer.fish");
  CLI::App* candidates = add_command(
      *group, {"candidates", "",
               "How a command line may go on: its words after 'mformer' come on stdin, one a line, the last "
               "one being typed; the scripts call this",
               "mformer completion candidates < words.txt"});
  candidates->callback([&parent, &global] { run_candidates(parent, global); });
}

}  // namespace mformer::cli
