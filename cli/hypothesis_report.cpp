#include "cli/hypothesis_report.h"

#include "cli/same_workspace.h"

namespace mformer::cli {

using nlohmann::ordered_json;

void report_hypothesis(terminal::Report& report, const HypothesisChoice& choice) {
  ordered_json& data = report.data()["hypothesis"];
  if (choice.name.empty()) return;
  data = {{"name", choice.name},
          {"chosen_by", choice.by_posterior() ? "posterior" : "--domain"},
          {"shares", nullptr},
          {"left_out", choice.left_out}};
  if (!choice.by_posterior()) return;
  data["shares"] = ordered_json::object();
  for (const auto& [name, share] : choice.shares) data["shares"][name] = share;
  report.text() << to_string(choice) << '\n';
}

void report_left_out(terminal::Report& report, const HypothesisChoice& choice, const VersionRecord& base,
                     const std::optional<VersionRecord>& made, const GlobalOptions& global) {
  if (choice.left_out.empty() || !made.has_value()) return;
  report.text() << to_string(*made) << " is '" << choice.name << "' alone; ";
  for (std::size_t i = 0; i < choice.left_out.size(); ++i) {
    report.text() << (i == 0 ? "'" : ", '") << choice.left_out[i] << '\'';
  }
  report.text() << (choice.left_out.size() == 1 ? " stays in " : " stay in ") << to_string(base) << ": "
                << program_of(global) << " graft " << to_string(*made) << " --onto " << to_string(base)
                << " puts it back beside " << (choice.left_out.size() == 1 ? "it" : "them") << "\n\n";
}

}  // namespace mformer::cli
