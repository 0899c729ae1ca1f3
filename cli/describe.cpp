#include "cli/describe.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <filesystem>

#include "cli/terminal/format.h"
#include "core/workspace/registry_session.h"
#include "modules_registry/error.h"

namespace mformer::cli {

namespace fs = std::filesystem;

nlohmann::ordered_json version_json(const VersionRecord& version) {
  nlohmann::ordered_json json = {{"ref", to_string(version)}, {"hash", version.hash}};
  if (version.removed) json["removed"] = version.model + "@" + std::to_string(version.number);
  return json;
}

nlohmann::ordered_json version_json(const Registry& registry, const std::string& hash) {
  return hash.empty() ? nlohmann::ordered_json() : version_json(registry.version(hash));
}

std::string version_name(const VersionRecord& version) {
  if (!version.removed) return to_string(version);
  return version.model + "@" + std::to_string(version.number) + " (removed)";
}

std::string version_name(const Registry& registry, const std::string& hash) {
  return hash.empty() ? "-" : version_name(registry.version(hash));
}

std::string tags_text(const std::vector<std::string>& tags) {
  std::string text;
  for (const std::string& tag : tags) text += (text.empty() ? " (tag " : ", tag ") + tag;
  return text.empty() ? text : text + ')';
}

nlohmann::ordered_json number_or_null(const std::optional<double>& value) {
  return value ? nlohmann::ordered_json(*value) : nlohmann::ordered_json();
}

std::string byte_size(std::int64_t bytes) {
  return terminal::format_bytes(static_cast<std::uint64_t>(bytes));
}

std::string short_hash(const std::string& hash) {
  return hash.substr(0, 12);
}

std::string utc_time(std::int64_t ms) {
  if (ms == 0) return "-";
  const std::time_t seconds = ms / 1000;
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  std::array<char, 32> text{};
  const std::size_t length = std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M:%S", &parts);
  return {text.data(), length};
}

std::string utc_minute(std::int64_t ms) {
  return utc_time(ms).substr(0, sizeof("2026-01-31 23:59") - 1);
}

std::string birth_name(const ModuleRecord& module) {
  return module.born_task.empty() ? module.born_command : module.born_command + ':' + module.born_task;
}

std::string origin_name(const ModuleRecord& module) {
  if (module.copied_from.empty()) return "-";
  const auto more = std::count(module.copied_from.begin(), module.copied_from.end(), ',');
  const std::string first = module.copied_from.substr(0, module.copied_from.find(','));
  return more == 0 ? first : first + " and " + std::to_string(more) + " more";
}

std::string private_parts_text(const std::vector<PrivateChange>& changes) {
  std::string text;
  for (const PrivateChange& change : changes) {
    const std::string of = " private parts of domain " + change.domain;
    const auto say = [&](std::int64_t count, const std::string& what) {
      if (count > 0) text += (text.empty() ? "" : "; ") + std::to_string(count) + of + what;
    };
    const std::string bytes =
        change.bytes > 0 ? ", " + terminal::format_bytes(static_cast<std::uint64_t>(change.bytes)) : "";
    say(change.added, change.changed > 0 ? "" : bytes);
    say(change.changed, " changed" + bytes);
    say(change.removed, " removed");
  }
  return text;
}

nlohmann::ordered_json private_parts_json(const std::vector<PrivateChange>& changes) {
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  for (const PrivateChange& change : changes) {
    rows.push_back({{"domain", change.domain},
                    {"added", change.added},
                    {"removed", change.removed},
                    {"changed", change.changed},
                    {"bytes", change.bytes}});
  }
  return rows;
}

OpenMode mode_for_measuring(const GlobalOptions& global) {
  const fs::path folder =
      global.workspace.empty() ? Registry::find(fs::current_path()).value_or(fs::path()) : fs::path(global.workspace);
  const fs::path registry = folder.filename() == ".mformer" ? folder : folder / ".mformer";
  return access(registry.c_str(), W_OK) == 0 ? OpenMode::read_write : OpenMode::read_only;
}

void report_older(terminal::Report& report, std::size_t count, const std::string& one, const std::string& many) {
  report.data()["older"] = count;
  if (count == 0) return;
  report.text() << terminal::format_count(static_cast<std::int64_t>(count)) << " older "
                << (count == 1 ? one + " is" : many + " are") << " not shown\n";
}

std::string model_name(const Registry& registry, const GlobalOptions& global) {
  if (global.model.empty() && !registry.looked_at().empty())
    refuse_while_looking(registry.version(registry.looked_at()));
  const std::string name = global.model.empty() ? registry.current_model() : global.model;
  if (name.empty()) throw UsageError("the workspace has no model yet", "make one: mformer init or mformer import");
  if (name.find('@') != std::string::npos) {
    throw UsageError("'" + name + "' is a version, and this command works on a model", "leave '@' and the number out");
  }
  return registry.model(name).name;
}

}  // namespace mformer::cli
