#include "core/workflows/hypothesis.h"

#include <set>

#include "core/model/domains.h"
#include "modules_registry/error.h"

namespace mformer {

LoadedVersion hypothesis_of(const LoadedVersion& version, const std::string& domain) {
  if (domain.empty() && version.model.domains.empty()) return version;
  if (domain.empty()) {
    std::string names;
    for (const std::string& name : hypotheses(version.model)) names += (names.empty() ? "" : ", ") + name;
    throw UsageError(to_string(version.record) + " has domains, and it is not said which of its hypotheses is meant",
                     "name one with --domain: " + names);
  }
  LoadedVersion view = version;
  view.model = view_of(version.model, domain);
  for (std::size_t l = 0; l < view.manifest.layers.size(); ++l) {
    for (const Kind kind : {Kind::att, Kind::mlp}) {
      std::set<std::string> seen;
      for (const Module& module : view.model.blocks[l].bank(kind).modules) seen.insert(module.uid);
      std::erase_if(view.manifest.layers[l].modules(kind),
                    [&](const ManifestModule& module) { return seen.count(module.uid) == 0; });
    }
  }
  return view;
}

}  // namespace mformer
