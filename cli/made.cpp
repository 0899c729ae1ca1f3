#include "cli/made.h"

#include "cli/same_workspace.h"

namespace mformer::cli {

void tell(const std::string& done, const std::string& look, const std::function<void()>& report) {
  if (done.empty()) return report();
  try {
    report();
  } catch (const std::exception& error) {
    if (dynamic_cast<const terminal::OutputClosed*>(&error) != nullptr) throw;
    throw ReportCutOff(done + "; its report was cut off: " + error.what(), look.empty() ? "" : look + " shows it");
  }
}

void tell(const std::optional<VersionRecord>& made, const std::function<void()>& report) {
  tell(made ? "made " + to_string(*made) : "", made ? "mformer eval --model " + to_string(*made) : "", report);
}

void fill_made(nlohmann::ordered_json& data, const VersionRecord& made, bool kept_beside) {
  data["model"] = to_string(made);
  data["hash"] = made.hash;
  data["model_version"] = {{"ref", to_string(made)}, {"hash", made.hash}};
  data["kept_beside"] = kept_beside;
}

void report_cut_off(terminal::Report& report, const std::optional<VersionRecord>& made, const std::string& cut_off,
                    const GlobalOptions& global) {
  report.data()["cut_off"] = cut_off.empty() ? nlohmann::ordered_json() : nlohmann::ordered_json(cut_off);
  if (cut_off.empty() || !made) return;
  report.text() << "\nmade " << to_string(*made) << "; its report was cut off: " << cut_off << '\n'
                << program_of(global) << " eval --model " << to_string(*made) << " measures it\n";
}

}  // namespace mformer::cli
