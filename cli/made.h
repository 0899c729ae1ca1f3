#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "cli/global_options.h"
#include "cli/terminal/report.h"
#include "modules_registry/error.h"
#include "modules_registry/records.h"

/// What a command made stays, whatever comes after. So nothing that goes wrong while it tells of it makes it a failed
/// command: exit code, message and log agree.
namespace mformer::cli {

/// The work is done, but its report could not be given: `what` says both. Printed as "note: …"; exit code 0.
class ReportCutOff : public Error {
 public:
  using Error::Error;
};

/// Runs `report`, which tells of something that is `done` ("made base@3") and that the command in `look`, if any, shows
/// ("mformer log"). Throws ReportCutOff for whatever goes wrong in it, but lets OutputClosed pass. With nothing done,
/// in a dry run, it only runs `report`.
void tell(const std::string& done, const std::string& look, const std::function<void()>& report);

/// The same for a version; none = nothing done.
void tell(const std::optional<VersionRecord>& made, const std::function<void()>& report);

/// The fields that every new version has in JSON; `kept_beside` is that of the workflow's report.
void fill_made(nlohmann::ordered_json& data, const VersionRecord& made, bool kept_beside);

/// For the end of a report: `cut_off` (core/history/commit.h) as the field of that name, null for "", and as a
/// sentence that names the command which measures what is missing.
void report_cut_off(terminal::Report& report, const std::optional<VersionRecord>& made, const std::string& cut_off,
                    const GlobalOptions& global);

}  // namespace mformer::cli
