#include "core/workflows/freeze.h"

#include "core/workspace/selector.h"

namespace mformer {

FreezeReport set_frozen(Session& session, const VersionRecord& base, const std::string& target,
                        const std::string& selector, bool frozen, bool dry_run) {
  if (target.empty()) refuse_while_looking(base);
  Manifest manifest = session.registry.manifest(base.hash);
  const ModuleSelection selected = select_modules(session.registry, base.hash, manifest, selector);
  FreezeReport report;
  report.selected = count(selected);
  for (std::size_t l = 0; l < manifest.layers.size(); ++l) {
    for (const Kind kind : {Kind::att, Kind::mlp}) {
      for (const std::int64_t position : selected.of(kind)[l]) {
        ManifestModule& module = manifest.layers[l].modules(kind)[position];
        report.changed += module.frozen != frozen ? 1 : 0;
        module.frozen = frozen;
      }
    }
  }
  if (dry_run || report.changed == 0) return report;
  run_operation(session, target, {}, [&](std::int64_t operation) {
    Commit commit;
    commit.operation_id = operation;
    commit.model = target;
    commit.parent = base.hash;
    commit.expected_current = base.hash;
    commit.manifest = manifest;
    report.version = session.registry.commit_version(commit).version;
  });
  return report;
}

}  // namespace mformer
