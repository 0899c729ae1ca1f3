#include "core/surgery/join.h"

#include <algorithm>
#include <set>

#include "core/formats/parameter_names.h"
#include "core/history/diff.h"
#include "core/surgery/join_domains.h"
#include "modules_registry/error.h"

namespace mformer {
namespace {

/// Fields of the config that say how many modules there are, and whose.
constexpr const char* kCounts[] = {"n_att_experts", "n_mlp_experts", "n_att_experts_per_layer",
                                   "n_mlp_experts_per_layer", "mformer_domains"};

[[noreturn]] void refuse(const std::string& what, const LoadedVersion& ancestor, const LoadedVersion& branch) {
  throw Error(what + " changed between " + to_string(ancestor.record) + ", where the branches part, and " +
                  to_string(branch.record) + ": a merge keeps the modules of both over what they have in common",
              "merge versions made by extend alone; mformer diff " + to_string(ancestor.record) + " " +
                  to_string(branch.record) + " shows all that changed");
}

std::string name_of(std::size_t layer, Kind kind) {
  return names::bank(static_cast<std::int64_t>(layer), kind);
}

std::set<std::string> uids_of(const LoadedVersion& version) {
  const auto uids = module_uids(version.manifest);
  return {uids.begin(), uids.end()};
}

std::map<std::string, at::Tensor> rows_of(const ModuleBank& bank) {
  std::map<std::string, at::Tensor> rows;
  for (const Module& module : bank.modules) rows[module.uid] = module.row;
  return rows;
}

/// The object of a router holds new rows too: its old ones are compared one by one.
void require_same_router(const LoadedVersion& ancestor, const LoadedVersion& branch, std::size_t layer, Kind kind) {
  const ModuleBank &old = ancestor.model.blocks[layer].bank(kind), &now = branch.model.blocks[layer].bank(kind);
  const auto rows = rows_of(now);
  const bool kept = same_tensor(old.router.weight, now.router.weight) &&
                    same_tensor(old.router.bias, now.router.bias) &&
                    same_tensor(old.router.temperature, now.router.temperature) &&
                    std::all_of(old.modules.begin(), old.modules.end(),
                                [&](const Module& module) { return same_tensor(module.row, rows.at(module.uid)); });
  if (!kept) refuse("the router " + name_of(layer, kind), ancestor, branch);
}

void require_same_module(const Module& a, const Module& b, const LoadedVersion& of_a, const LoadedVersion& of_b) {
  const bool same = same_tensor(a.in, b.in) && same_tensor(a.out, b.out) && same_tensor(a.row, b.row) &&
                    same_tensor(a.in_bias, b.in_bias) && same_tensor(a.head_norm, b.head_norm);
  if (same) return;
  throw Error("module " + a.uid + " is not the same in " + to_string(of_a.record) + " and " + to_string(of_b.record),
              "both have it from an earlier merge, and one trained it since: mformer inspect lineage " + a.uid);
}

/// Appends to `bank` what `b` added.
void join_bank(ModuleBank& bank, const ModuleBank& added, const std::set<std::string>& known, const LoadedVersion& a,
               const LoadedVersion& b) {
  const std::size_t mine = bank.modules.size();
  for (const Module& module : added.modules) {
    const auto end = bank.modules.begin() + static_cast<std::ptrdiff_t>(mine);
    const auto found = std::find_if(bank.modules.begin(), end, [&](const Module& m) { return m.uid == module.uid; });
    if (found == end) {
      bank.modules.push_back(module);
    } else if (known.count(module.uid) == 0) {
      require_same_module(*found, module, a, b);
    }
  }
}

}  // namespace

void require_only_added(const LoadedVersion& ancestor, const LoadedVersion& branch) {
  const VersionDiff diff = diff_versions(ancestor.manifest, branch.manifest);
  for (const ConfigChange& change : diff.config) {
    if (std::find(std::begin(kCounts), std::end(kCounts), change.field) == std::end(kCounts))
      refuse("the config's " + change.field, ancestor, branch);
  }
  if (diff.tokenizer) refuse("the tokenizer", ancestor, branch);
  for (const std::string& name : diff.trunk) {
    const auto& parts = ancestor.manifest.parts;
    const bool old = std::any_of(parts.begin(), parts.end(), [&](const TrunkPart& part) { return part.name == name; });
    if (old) refuse("the trunk's part '" + name + "'", ancestor, branch);
  }
  for (const PrivateChange& change : diff.domains) {
    if (change.removed + change.changed > 0) refuse("the domain '" + change.domain + "'", ancestor, branch);
  }
  for (const ModuleChange& change : diff.modules) {
    const std::string place = name_of(static_cast<std::size_t>(change.layer), change.kind) + "." +
                              std::to_string(change.index_before) + " (" + change.uid + ")";
    if (change.removed()) refuse("module " + place + " was removed: the set of modules", ancestor, branch);
    if (change.weights) refuse("module " + place, ancestor, branch);
  }
  for (std::size_t l = 0; l < ancestor.model.blocks.size(); ++l) {
    for (const Kind kind : {Kind::att, Kind::mlp}) require_same_router(ancestor, branch, l, kind);
  }
}

Model join(const LoadedVersion& ancestor, const LoadedVersion& a, const LoadedVersion& b,
           const std::map<std::string, std::string>& rename) {
  const std::set<std::string> known = uids_of(ancestor);
  const Model second = with_domains_renamed(b.model, rename);
  Model model = a.model;
  for (Domain& domain : domains_to_add(a.model, second, to_string(b.record), rename)) model.domains.push_back(domain);
  for (std::size_t l = 0; l < model.blocks.size(); ++l) {
    for (const Kind kind : {Kind::att, Kind::mlp}) {
      ModuleBank& bank = model.blocks[l].bank(kind);
      join_bank(bank, second.blocks[l].bank(kind), known, a, b);
    }
  }
  count_modules(model);
  join_frozen_flags(model, ancestor.model, a.model, b.model);
  hide_from_domains(model, a.model, second);
  return model;
}

}  // namespace mformer
