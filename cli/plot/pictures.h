#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cli/plot/layout.h"
#include "modules_registry/registry.h"

namespace mformer::cli {

// What `mformer plot` draws, of what the registry has: nothing is computed. Each throws Error, with the command that
// would measure it as hint, where the registry does not have it.

/// Of the tasks (empty: all whose routing is recorded of this version).
PlotPicture plot_routing(const Registry& registry, const VersionRecord& version, const std::vector<std::string>& tasks,
                         bool dark);
/// How much more or less of the tasks each module does in `after`.
PlotPicture plot_routing_change(const Registry& registry, const VersionRecord& before, const VersionRecord& after,
                                const std::vector<std::string>& tasks, bool dark);
/// The task matrix: held-out losses along the lineage of the version.
PlotPicture plot_matrix(const Registry& registry, const VersionRecord& version, bool dark);
/// The same as a line for each task.
PlotPicture plot_forgetting(const Registry& registry, const VersionRecord& version, bool dark);
/// Files that `inspect keep-curve --csv` wrote.
PlotPicture plot_keep_curves(const std::vector<std::string>& files, bool dark);
/// Losses of the runs of these operations (empty: of the newest that trained something).
PlotPicture plot_training(const Registry& registry, const std::vector<std::int64_t>& operations, bool dark);
/// The newest `limit` versions (0 = all), of all models or of the history of one version.
PlotPicture plot_versions(const Registry& registry, const std::string& ref, int limit, bool dark);
/// Which hypothesis read how much of each task, as it was recorded of this version.
PlotPicture plot_posterior(const Registry& registry, const VersionRecord& version, bool dark);
/// The same of documents, as documents_facts() tells of them (report/documents.h).
PlotPicture plot_posterior_of_documents(const VersionRecord& version, const nlohmann::ordered_json& documents,
                                        bool dark);

}  // namespace mformer::cli
