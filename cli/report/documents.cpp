#include "cli/report/documents.h"

#include <optional>

#include "cli/interrupt.h"
#include "core/workflows/inspect_posterior.h"

namespace mformer::cli {

using nlohmann::ordered_json;

namespace {
constexpr std::size_t kShownText = 400;  // bytes of a document in the page
}  // namespace

ordered_json documents_facts(Workspace& workspace, const LoadedVersion& version, std::int64_t count) {
  ordered_json rows = ordered_json::array();
  std::optional<Error> left_out;
  for (const TaskRecord& task : workspace.registry().tasks()) {
    InspectPosteriorCommand command;
    command.task = task.name;
    command.max_documents = count;
    PosteriorPicture picture;
    try {
      picture = workspace.run([&] { return inspect_posterior(workspace.computing_session(), version, command); });
    } catch (const Interrupted&) {
      throw;
    } catch (const Error& error) {
      left_out = error;  // one task whose data are gone is no reason to show nothing
      continue;
    }
    for (const DocumentPosterior& document : picture.documents) {
      ordered_json shares = ordered_json::array();
      for (std::size_t h = 0; h < document.shares.size(); ++h) {
        shares.push_back({picture.hypotheses[h], document.shares[h]});
      }
      rows.push_back({{"task", task.name},
                      {"number", document.number},
                      {"loss", document.loss},
                      {"shares", shares},
                      {"text", document.text.substr(0, kShownText)}});
    }
  }
  if (rows.empty() && left_out) throw *left_out;
  return rows;
}

}  // namespace mformer::cli
