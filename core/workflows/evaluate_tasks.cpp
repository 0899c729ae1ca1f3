#include "core/workflows/evaluate_tasks.h"

#include <algorithm>
#include <map>

#include "core/formats/parameter_names.h"
#include "core/model/domains.h"
#include "core/workflows/stages.h"
#include "core/workflows/train.h"

namespace mformer {
namespace {

/// Refuses when a part that both versions have is not the same object in both.
void require_unchanged(const Registry& registry, const LoadedVersion& later, const VersionRecord& earlier) {
  const Manifest before = registry.manifest(earlier.hash);
  const auto refuse = [&](const std::string& what) {
    throw NotAnExtension(what + " changed between " + to_string(earlier) + " and " + to_string(later.record) +
                             ": masking can't bring the earlier model back",
                         "evaluate it itself: mformer --model " + to_string(earlier) + " eval");
  };
  for (const TrunkPart& part : before.parts) {
    if (part.name == names::kEmbedding || part.name == names::kHead)
      continue;  // masked_as_of() takes them from the earlier version
    const auto& parts = later.manifest.parts;
    if (std::find(parts.begin(), parts.end(), part) == parts.end()) refuse("the trunk's part '" + part.name + "'");
  }
  std::map<std::string, std::string> objects;
  for (const LayerManifest& layer : later.manifest.layers) {
    for (const Kind kind : {Kind::att, Kind::mlp}) {
      for (const ManifestModule& module : layer.modules(kind)) objects[module.uid] = module.object_hash;
    }
  }
  for (const LayerManifest& layer : before.layers) {
    for (const Kind kind : {Kind::att, Kind::mlp}) {
      for (const ManifestModule& module : layer.modules(kind)) {
        const auto found = objects.find(module.uid);
        if (found == objects.end()) refuse("module " + module.uid + " was removed: the set of modules");
        if (found->second != module.object_hash) refuse("module " + module.uid);
      }
    }
  }
}

/// Routers are compared by their bits after masking: the object holds new rows too.
void require_same_routers(const Model& masked, const Model& earlier, const std::string& name) {
  for (std::size_t l = 0; l < masked.blocks.size(); ++l) {
    for (const Kind kind : {Kind::att, Kind::mlp}) {
      const ModuleBank& a = masked.blocks[l].bank(kind);
      const ModuleBank& b = earlier.blocks[l].bank(kind);
      const auto same = [](const at::Tensor& x, const at::Tensor& y) { return !x.defined() || x.equal(y); };
      bool equal = a.modules.size() == b.modules.size() && same(a.router.weight, b.router.weight) &&
                   same(a.router.bias, b.router.bias) && same(a.router.temperature, b.router.temperature);
      for (std::size_t i = 0; equal && i < a.modules.size(); ++i) {
        equal = a.modules[i].uid == b.modules[i].uid && same(a.modules[i].row, b.modules[i].row);
      }
      if (!equal) {
        throw NotAnExtension("a router changed since " + name + ": masking can't bring the earlier model back",
                             "evaluate it itself: mformer --model " + name + " eval");
      }
    }
  }
}

}  // namespace

Model masked_as_of(const Registry& registry, const LoadedVersion& version, const std::string& as_of) {
  const VersionRecord earlier = registry.resolve(as_of);
  if (!registry.is_ancestor(earlier.hash, version.record.hash)) {
    throw NotAnExtension(to_string(earlier) + " is no ancestor of " + to_string(version.record),
                         "mformer log shows which version came from which");
  }
  require_unchanged(registry, version, earlier);
  const Model before = load_version(registry, earlier).model;
  Model masked = version.model;
  for (const Domain& domain : version.model.domains) {
    if (find_domain(before, domain.name) == nullptr) masked = without_domain(masked, domain.name);
  }
  masked = select(masked, born_by(masked, registry.manifest(earlier.hash)));
  require_same_routers(masked, before, to_string(earlier));
  masked.wte = before.wte;
  masked.lm_head = before.lm_head;
  return masked;
}

namespace {

std::int64_t number_of_modules(const Model& model) {
  std::size_t count = 0;
  for (const Block& block : model.blocks) count += block.att.modules.size() + block.mlp.modules.size();
  return static_cast<std::int64_t>(count);
}

/// What the command asks for: as of a version, or one hypothesis, or all there is.
Model evaluated_model(const Session& session, const LoadedVersion& version, const EvalCommand& command,
                      EvalReport& report) {
  Model model = version.model;
  if (!command.as_of.empty()) model = masked_as_of(session.registry, version, command.as_of);
  if (!command.domain.empty()) model = view_of(model, command.domain);
  report.masked_modules = number_of_modules(version.model) - number_of_modules(model);
  if (command.mode == PosteriorMode::fast && model.domains.empty()) {
    throw UsageError("--fast lets hypotheses of a model with domains rest, and here is only one model",
                     "leave --fast out");
  }
  return model;
}

}  // namespace

EvalReport evaluate_tasks(Session& session, const LoadedVersion& version, const EvalCommand& command,
                          bool keep_scores) {
  const Tokenizer& tokenizer = require_tokenizer(version);
  EvalReport report;
  const Model model = evaluated_model(session, version, command, report);  // a wrong name is told before work begins
  say_if_longer(session, command.context, model.config, ", for which it was made");
  if (!command.data.empty() && !command.tasks.empty()) {
    throw UsageError("--task and --data exclude each other here", "name the tasks, or a folder");
  }
  const bool keep = keep_scores && command.as_of.empty() && command.domain.empty() &&
                    command.mode == PosteriorMode::strict && command.data.empty() && command.context == 0;
  announce_stages(session, version, command, keep);
  std::vector<TaskData> tasks;
  if (!command.data.empty()) {
    tasks.push_back(open_task(session, tokenizer, "", command.data, /*replace=*/false, command.fields));
  } else if (command.tasks.empty()) {
    tasks = readable_tasks(session, tokenizer);
  } else {
    for (const std::string& name : command.tasks) tasks.push_back(open_task(session, tokenizer, name, ""));
  }
  if (tasks.empty())
    throw UsageError("there is no task to evaluate",
                     "name data: --data DIR, or add a task: mformer task add NAME --data DIR");
  report.hypotheses = hypotheses(model);
  for (const TaskData& task : tasks) {
    report.rows.push_back({task.record.name, keep
                                                 ? scored(session, version.record.hash, model, task, command.max_tokens)
                                                 : evaluate_task(session, model, task, Split::held_out,
                                                                 command.max_tokens, command.context, command.mode)});
  }
  return report;
}

}  // namespace mformer
