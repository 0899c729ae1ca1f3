#pragma once

#include "core/model/forward.h"
#include "core/workflows/commit.h"
#include "tests/support/tiny_workspace.h"

namespace mformer::testing {

/// A workspace in which versions are made by hand, in no time: what `extend` would make, without its training.
class Branches {
 public:
  TinyWorkspace& workspace() { return workspace_; }
  Registry& registry() { return workspace_.registry(); }
  LoadedVersion load(const std::string& ref) { return workspace_.load(ref); }

  /// A version of model `into` made from `from` by `change`, as by `extend` for `task`.
  VersionRecord commit(const std::string& from, const std::string& into, const std::string& task,
                       const std::function<void(Model&)>& change) {
    Session session = workspace_.session("extend");
    const LoadedVersion base = load(from);
    Model model = clone(base.model);
    change(model);
    VersionRecord made;
    const OperationData data{"train", task, "nowhere", "nothing"};
    run_operation(session, into, {data}, [&](std::int64_t operation) {
      made = commit_model(session, operation, base, model, into, task).version;
    });
    return made;
  }

  /// One more module of each kind in every layer, unlike any other by `seed`. A token must be able to prefer it: its
  /// router row is as long as the others'.
  VersionRecord extend(const std::string& from, const std::string& into, const std::string& task, std::uint64_t seed) {
    return commit(from, into, task, [&](Model& model) { grow(model, seed); });
  }

  static void grow(Model& model, std::uint64_t seed) {
    at::Generator generator = at::detail::createCPUGenerator(seed);
    std::vector<std::int64_t> counts[2];
    for (Block& block : model.blocks) {
      for (const Kind kind : {Kind::att, Kind::mlp}) {
        ModuleBank& bank = block.bank(kind);
        Module fresh = bank.modules[0];
        fresh.uid.clear();
        for (at::Tensor* x : {&fresh.in, &fresh.out, &fresh.row}) {
          *x = at::empty(x->sizes()).normal_(0.0, x->std().item<double>(), generator);
        }
        bank.modules.push_back(fresh);
        counts[kind == Kind::mlp].push_back(static_cast<std::int64_t>(bank.modules.size()));
      }
    }
    model.config.set_expert_counts(counts[0], counts[1]);
  }

 private:
  TinyWorkspace workspace_;
};

inline at::Tensor tiny_logits(const Model& model) {
  return logits_of(model, forward(model, tiny_ids(2, 20)).hidden);
}

}  // namespace mformer::testing
