#pragma once

#include "core/model/domains.h"
#include "core/model/forward.h"
#include "core/history/commit.h"
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

  /// The same as a domain: its modules stand in the place of the first of each bank, and it has rows of the embedding,
  /// a norm and router rows of its own.
  VersionRecord add_domain(const std::string& from, const std::string& into, const std::string& name,
                           std::uint64_t seed) {
    return commit(from, into, name, [&](Model& model) { grow_domain(model, name, seed); });
  }

  static void grow_domain(Model& model, const std::string& name, std::uint64_t seed) {
    grow(model, seed);
    Domain domain{name, false, {}};
    const auto noisy = [](const at::Tensor& x, double factor) { return (x * factor).clone(); };
    domain.parts.push_back({"wte", at::tensor({2, 5, 7}, at::kLong), noisy(model.wte.slice(0, 0, 3), 1.5)});
    domain.parts.push_back({"ln_f.weight", {}, noisy(model.ln_f.weight, 1.1)});
    for (std::size_t l = 0; l < model.blocks.size(); ++l) {
      for (const Kind kind : {Kind::att, Kind::mlp}) {
        auto& modules = model.blocks[l].bank(kind).modules;
        modules.back().domain = name;
        modules.front().hidden_from.push_back(name);
        std::vector<at::Tensor> rows;
        for (const Module& module : modules) {
          if (is_base_module_of(module, domain)) rows.push_back(noisy(module.row, 0.9));
        }
        domain.parts.push_back(
            {"h." + std::to_string(l) + "." + std::string(to_string(kind)) + ".rows", {}, at::stack(rows)});
      }
    }
    model.domains.push_back(domain);
  }

  static void grow(Model& model, std::uint64_t seed) {
    at::Generator generator = at::detail::createCPUGenerator(seed);
    for (Block& block : model.blocks) {
      for (const Kind kind : {Kind::att, Kind::mlp}) {
        ModuleBank& bank = block.bank(kind);
        Module fresh = bank.modules[0];
        fresh.uid.clear();
        fresh.hidden_from.clear();
        for (at::Tensor* x : {&fresh.in, &fresh.out, &fresh.row}) {
          *x = at::empty(x->sizes()).normal_(0.0, x->std().item<double>(), generator);
        }
        bank.modules.push_back(fresh);
      }
    }
    count_modules(model);
  }

 private:
  TinyWorkspace workspace_;
};

inline at::Tensor tiny_logits(const Model& model) {
  return logits_of(model, forward(model, tiny_ids(2, 20)).hidden);
}

}  // namespace mformer::testing
