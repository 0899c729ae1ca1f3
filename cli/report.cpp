#include "cli/command.h"
#include "cli/commands.h"
#include "cli/computes.h"
#include "cli/describe.h"
#include "cli/output_file.h"
#include "cli/registry_workspace.h"
#include "cli/report/documents.h"
#include "cli/report/facts.h"
#include "cli/report/page.h"
#include "cli/terminal/format.h"
#include "cli/validators.h"
#include "cli/workspace.h"
#include "modules_registry/files.h"

namespace mformer::cli {
namespace {

using nlohmann::ordered_json;

struct ReportOptions {
  std::string out;
  std::vector<std::string> keep_curves;
  std::int64_t documents = 0;
};

constexpr const char* report_first_line = "<!DOCTYPE html><!-- mformer report -->";

/// `documents`: what was computed, of the version that `global` names; an empty array without.
void write_report(const ReportOptions& options, const GlobalOptions& global, const ordered_json& documents) {
  RegistryWorkspace workspace(global, "report", OpenMode::read_only);
  const VersionRecord version = workspace.version();
  ordered_json data = report_facts(workspace.registry(), version, {});
  for (const std::string& csv : options.keep_curves) {
    for (const ordered_json& curve : keep_curves(csv)) data["keep"].push_back(curve);
  }
  data["documents"] = documents;
  const std::string page = report_page(data);
  write_file_atomically(options.out, as_bytes(page));
  terminal::Report report("report", global.json);
  report.data()["out"] = options.out;
  report.data()["bytes"] = page.size();
  report.data()["model_version"] = version_json(version);
  ordered_json& holds = report.data()["holds"] = ordered_json::object();
  for (const char* part : {"versions", "modules", "routing", "curves", "operations", "keep", "documents"}) {
    holds[part] = data[part].size();
  }
  const auto counted = [&data](const char* part, const char* what) {
    return terminal::format_counted(static_cast<std::int64_t>(data[part].size()), what);
  };
  report.text() << "wrote " << options.out << " (" << byte_size(static_cast<std::int64_t>(page.size()))
                << "): " << counted("versions", "version") << ", " << counted("modules", "module") << ", "
                << counted("routing", "routing map") << ", " << counted("curves", "training curve") << '\n';
  report.print();
}

void require_report_file(const ReportOptions& options) {
  require_output(options.out, "report",
                 [](const std::string& path) { return has_first_line(path, report_first_line); });
  for (const std::string& csv : options.keep_curves) keep_curves(csv);
}

void write_report_with_documents(const ReportOptions& options, const GlobalOptions& global) {
  Workspace workspace(global, "report", OpenMode::read_only);
  const LoadedVersion version = workspace.load();
  GlobalOptions of_version = global;
  of_version.model = version.record.hash;  // the model may move on while documents are read
  write_report(options, of_version, documents_facts(workspace, version, options.documents));
}

}  // namespace

void setup_report(CLI::App& parent, const GlobalOptions& global) {
  auto options = std::make_shared<ReportOptions>();
  CLI::App* command = add_command(
      parent, {"report", groups::inspect, "Write a page that shows routing, tasks, versions, modules and operations",
               "mformer report --out report.html"});
  command->add_option("--out", options->out, "The page's file; an earlier report is replaced")
      ->type_name("FILE")
      ->required();
  command
      ->add_option("--keep-curve", options->keep_curves,
                   "Also show this file, which inspect keep-curve --csv wrote; may be repeated")
      ->type_name("FILE")
      ->allow_extra_args(false);
  command
      ->add_option("--documents", options->documents,
                   "Also show what the posterior decides on N held-out documents of each task, which is computed")
      ->check(positive_integer());
  computes_where(
      *command, [options] { return options->documents > 0; },
      [options, &global] {
        require_report_file(*options);
        write_report(*options, global, ordered_json::array());
      },
      [options, &global] {
        require_report_file(*options);
        write_report_with_documents(*options, global);
      });
}

}  // namespace mformer::cli
