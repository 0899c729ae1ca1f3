#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "cli/global_options.h"
#include "cli/terminal/report.h"
#include "core/history/diff.h"
#include "modules_registry/registry.h"

/// How commands write the registry's records, in JSON and in tables.
namespace mformer::cli {

/// {"ref": "base@3", "hash": "<64 digits>"}; of a removed model the ref is a prefix of the hash, and "removed" says
/// what it was called.
nlohmann::ordered_json version_json(const VersionRecord& version);
/// The same of a hash; null for "".
nlohmann::ordered_json version_json(const Registry& registry, const std::string& hash);

/// "base@3", "base@3 (removed)".
std::string version_name(const VersionRecord& version);
/// The same of a hash; "-" for "".
std::string version_name(const Registry& registry, const std::string& hash);

/// What follows a version's name where tags name it too: " (tag first, tag second)"; "" without any.
std::string tags_text(const std::vector<std::string>& tags);

/// The first 12 digits: enough to tell objects and versions apart, short enough to read.
std::string short_hash(const std::string& hash);

/// null where nothing was measured.
nlohmann::ordered_json number_or_null(const std::optional<double>& value);

/// "23.6 MB".
std::string byte_size(std::int64_t bytes);

/// Milliseconds since 1970 as "2026-01-31 23:59:59" (UTC); "-" for 0.
std::string utc_time(std::int64_t ms);
/// "2026-01-31 23:59"; "-" for 0.
std::string utc_minute(std::int64_t ms);

/// Which operation bore the module: "init", or with its task "extend:de", as the selector born= takes it.
std::string birth_name(const ModuleRecord& module);

/// What the module was copied from, or made of: "-", "3f2a9c01d2e4", "3f2a9c01d2e4 and 7 more".
std::string origin_name(const ModuleRecord& module);

/// "32 private parts of domain german, 590 kB", "3 private parts of domain german changed": all domains in which
/// anything changed, separated by "; "; empty where nothing did.
std::string private_parts_text(const std::vector<PrivateChange>& changes);
/// [{"domain": "german", "added": 32, "removed": 0, "changed": 0, "bytes": 590000}].
nlohmann::ordered_json private_parts_json(const std::vector<PrivateChange>& changes);

/// read_write where the workspace can be written to, read_only elsewhere: for commands that only read, but keep what
/// they measured.
OpenMode mode_for_measuring(const GlobalOptions& global);

/// What a limit (-n) left out: `older` in JSON, in text "12 older versions are not shown", or nothing where it left out
/// none.
/// `one` and `many`: what they are called, "version" and "versions".
void report_older(terminal::Report& report, std::size_t count, const std::string& one, const std::string& many);

/// The model that --model names, or the current one. Throws UsageError when --model is a version rather than a name.
std::string model_name(const Registry& registry, const GlobalOptions& global);

}  // namespace mformer::cli
