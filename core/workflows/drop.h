#pragma once

#include <string>
#include <vector>

#include "core/workflows/train.h"

namespace mformer {

struct DropCommand {
  /// Which modules go, as core/workspace/selector.h reads them: all that one of these picks.
  std::vector<std::string> selectors;
  std::string into;  ///< Model that gets the version; empty = the base's own.
  bool dry_run = false;
  std::int64_t eval_tokens = 65536;  ///< Held-out tokens per task for the losses that are reported; 0 = all.
};

struct DropReport {
  std::optional<VersionRecord> version;  ///< Absent after a dry run.
  bool kept_beside = false;
  std::int64_t dropped_att = 0, dropped_mlp = 0;
  std::vector<std::string> domains;  ///< Those that go with all their modules and private parts.
  ModelSize size_before, size_after;
  std::int64_t stored_before = 0, stored_after = 0;  ///< Bytes on disk; after = expected, in a dry run.
  std::vector<TaskChange> tasks;                     ///< Every task whose data can be read.
  std::string cut_off;  ///< What kept the rest of the report from being measured; see after_commit().
};

/// Makes a version without the selected modules. A domain all of whose modules are selected goes with its private
/// parts, and so does one that has none, if domain=NAME names it; everything else keeps its objects. So dropping what
/// an extension added gives the version before it back, bit for bit, if nothing else changed since. Throws Error with a
/// hint when a layer, or a hypothesis in it, would keep fewer modules than a token uses, and for a module of the first
/// version that has been trained on the way to `base`: what it learned belongs to everything that came later.
DropReport drop(Session& session, const LoadedVersion& base, const DropCommand& command);

/// The modules that at least one of the selectors picks. Throws as select_modules(), also for one that picks nothing.
ModuleSelection select_any(const Registry& registry, const LoadedVersion& base,
                           const std::vector<std::string>& selectors);

/// Thrown where a layer, or a hypothesis in it, would keep fewer modules than a token uses.
class TooLittleLeft : public Error {
 public:
  using Error::Error;
};

/// The model that is left, sharing tensors: without `selected` and without `domains`, to which those are added that
/// lose all their modules. Throws TooLittleLeft.
Model without_modules(const Model& model, const ModuleSelection& selected, std::vector<std::string>& domains);

}  // namespace mformer
