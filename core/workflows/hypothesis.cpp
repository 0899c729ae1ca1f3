#include "core/workflows/hypothesis.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "core/model/domains.h"
#include "modules_registry/error.h"

namespace mformer {
namespace {

constexpr std::int64_t kTokensToChoose = 4096;  // of the task's text that the posterior reads to choose

[[noreturn]] void refuse(const LoadedVersion& version, const TaskData& task) {
  std::string names;
  for (const std::string& name : hypotheses(version.model)) names += (names.empty() ? "" : ", ") + name;
  throw UsageError(to_string(version.record) + " has domains, and task '" + task.record.name +
                       "' has no text by which one of them could be chosen",
                   "name one with --domain: " + names);
}

/// The posterior's shares over the task's text.
std::vector<double> shares_of(const Session& session, const LoadedVersion& version, const TaskData& task) {
  for (const Split split : {Split::train, Split::held_out, Split::validation}) {
    const auto read = evaluate_task(session, version.model, task, split, kTokensToChoose, 0, PosteriorMode::strict,
                                    "hypothesis of " + task.record.name);
    if (read.has_value() && read->posterior.has_value()) return read->posterior->shares;
  }
  refuse(version, task);
}

}  // namespace

double HypothesisChoice::share() const {
  const auto found = std::find_if(shares.begin(), shares.end(), [&](const auto& one) { return one.first == name; });
  return found == shares.end() ? 0.0 : found->second;
}

HypothesisChoice choose_hypothesis(const Session& session, const LoadedVersion& version, const TaskData& task,
                                   const std::string& domain) {
  HypothesisChoice choice;
  if (!domain.empty()) view_of(version.model, domain);  // throws, with the nearest names, for an unknown one
  if (version.model.domains.empty()) return choice;
  const std::vector<std::string> names = hypotheses(version.model);
  choice.name = domain;
  if (domain.empty()) {
    const std::vector<double> shares = shares_of(session, version, task);
    for (std::size_t h = 0; h < names.size(); ++h) choice.shares.emplace_back(names[h], shares.at(h));
    choice.name = names[std::max_element(shares.begin(), shares.end()) - shares.begin()];
    choice.task = task.record.name;
  }
  std::copy_if(names.begin(), names.end(), std::back_inserter(choice.left_out),
               [&](const std::string& name) { return name != choice.name; });
  return choice;
}

void announce(Session& session, const HypothesisChoice& choice) {
  if (!choice.by_posterior()) return;
  session.watcher.say(to_string(choice));
  auto arguments = nlohmann::ordered_json::parse(session.arguments_json, nullptr, /*allow_exceptions=*/false);
  if (!arguments.is_object()) return;
  arguments["hypothesis"] = choice.name;
  session.arguments_json = arguments.dump();
}

std::string to_string(const HypothesisChoice& choice) {
  return "task " + choice.task + " is read by '" + choice.name + "' (" +
         std::to_string(std::llround(100 * choice.share())) + " %): working on it; --domain chooses another";
}

LoadedVersion hypothesis_of(const LoadedVersion& version, const std::string& domain) {
  if (version.model.domains.empty()) return version;
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
