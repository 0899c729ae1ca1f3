#include "core/workflows/blame.h"

#include <algorithm>
#include <set>

#include "core/workflows/drop.h"
#include "core/workflows/inspect.h"
#include "core/workspace/module_share.h"
#include "core/workspace/stage_plan.h"
#include "modules_registry/error.h"

namespace mformer {
namespace {

constexpr std::int64_t kTokensToBlame = 65536;  // of the task, where nothing else is asked for

/// Which modules have which birth.
class Births {
 public:
  Births(const Registry& registry, const LoadedVersion& version) {
    for (const ModuleRecord& module : registry.modules(version.record.hash)) {
      BlamedBirth& birth = births_[module.born_operation];
      birth.operation = module.born_operation;
      birth.command = module.born_command;
      birth.born_for = module.born_task;
      ++birth.modules;
      of_[module.uid] = module.born_operation;
    }
  }

  /// Adds the shares of one task's statistics up, for `births` as list() gave them.
  void count(std::vector<BlamedBirth>& births, const std::vector<RoutingStat>& stats) const {
    const std::vector<ModuleShare> shares = module_shares(stats);
    std::set<std::pair<int, Kind>> banks;
    for (const RoutingStat& stat : stats) banks.emplace(stat.layer, stat.kind);
    std::map<std::int64_t, BlamedBirth*> by_operation;
    for (BlamedBirth& birth : births) {
      by_operation[birth.operation] = &birth;
      for (const auto& bank : banks) birth.shares[bank] = 0;
    }
    for (std::size_t i = 0; i < stats.size(); ++i) {
      BlamedBirth& birth = *by_operation.at(of_.at(stats[i].module_uid));
      birth.shares[{stats[i].layer, stats[i].kind}] += shares[i].value;
      birth.share += shares[i].value / static_cast<double>(banks.size());
    }
  }

  ModuleSelection modules_of(const Model& model, const std::set<std::int64_t>& operations) const {
    return modules_where(model, [&](const Module& module) { return operations.contains(of_.at(module.uid)); });
  }

  std::vector<BlamedBirth> list() const {
    std::vector<BlamedBirth> births;
    for (const auto& [operation, birth] : births_) births.push_back(birth);
    return births;
  }

 private:
  std::map<std::int64_t, BlamedBirth> births_;  // by operation
  std::map<std::string, std::int64_t> of_;      // by uid
};

using Operations = std::set<std::int64_t>;

/// Writes down which births the model can't do without, and why. Returns all after the first that it can be without
/// one by one, if it can be without them all at once; else none.
Operations find_maskable(const LoadedVersion& version, const Births& births, std::vector<BlamedBirth>& found) {
  Operations all;
  for (BlamedBirth& birth : found) {
    try {
      without_modules(version.model, births.modules_of(version.model, {birth.operation}), birth.domains);
      if (birth.operation != found.front().operation) all.insert(birth.operation);
    } catch (const TooLittleLeft& refusal) {
      birth.domains.clear();
      birth.refusal = refusal.what();
    }
  }
  if (all.size() < 2) return {};
  try {
    std::vector<std::string> domains;
    without_modules(version.model, births.modules_of(version.model, all), domains);
    return all;
  } catch (const TooLittleLeft&) {
    return {};  // each can be missed, all together can't
  }
}

void announce_blame(Session& session, const LoadedVersion& version, const BlameCommand& command, bool knows_routing,
                    std::int64_t evaluations) {
  StagePlan plan(session);
  plan.tokenise(version, {command.task}).evaluate({command.task});
  if (!knows_routing) plan.routing({command.task});
  for (std::int64_t i = 0; i < evaluations; ++i) plan.evaluate({command.task});
  plan.announce();
}

/// Measures the task's loss without some births.
class MaskedLosses {
 public:
  MaskedLosses(Session& session, const LoadedVersion& version, const Births& births, const TaskData& task,
               std::int64_t max_tokens)
      : session_(session), version_(version), births_(births), task_(task), max_tokens_(max_tokens) {}

  Evaluation whole() const { return *measure(version_.model); }

  /// Of births that can be masked.
  double without(const Operations& operations) const {
    std::vector<std::string> domains;
    return measure(without_modules(version_.model, births_.modules_of(version_.model, operations), domains))->loss;
  }

 private:
  std::optional<Evaluation> measure(const Model& model) const {
    auto measured = evaluate_task(session_, model, task_, Split::held_out, max_tokens_);
    if (measured) return measured;
    throw Error("task '" + task_.record.name + "' has no held-out text to measure",
                "mformer tasks lists its documents");
  }

  Session& session_;
  const LoadedVersion& version_;
  const Births& births_;
  const TaskData& task_;
  const std::int64_t max_tokens_;
};

}  // namespace

std::optional<double> BlameReport::gain(const BlamedBirth& birth) const {
  if (!birth.masked_loss) return std::nullopt;
  return *birth.masked_loss - loss;
}

std::optional<double> BlameReport::gain_of_all() const {
  if (!loss_without_all) return std::nullopt;
  return *loss_without_all - loss;
}

double BlameReport::sum_of_gains() const {
  double sum = 0;
  for (std::size_t i = 1; i < births.size(); ++i) sum += gain(births[i]).value_or(0);
  return sum;
}

BlameReport blame(Session& session, const LoadedVersion& version, const BlameCommand& command, bool keep) {
  const Tokenizer& tokenizer = require_tokenizer(version);
  session.registry.task(command.task);  // an unknown task names its neighbours
  Births births(session.registry, version);
  std::vector<BlamedBirth> found = births.list();
  const Operations maskable = find_maskable(version, births, found);
  const bool knows_routing =
      !command.max_tokens && !session.registry.routing_stats(version.record.hash, command.task).empty();
  const auto refused =
      std::count_if(found.begin(), found.end(), [](const auto& birth) { return !birth.refusal.empty(); });
  announce_blame(session, version, command, knows_routing,
                 static_cast<std::int64_t>(found.size()) - refused + (maskable.empty() ? 0 : 1));
  const TaskData task = open_task(session, tokenizer, command.task, "");
  const MaskedLosses losses(session, version, births, task, command.max_tokens.value_or(kTokensToBlame));
  const Evaluation whole = losses.whole();  // a task without held-out text is told before routing is measured
  const std::vector<TaskRouting> routing =
      inspect_routing(session, version, {{command.task}, command.max_tokens, /*refresh=*/false}, keep);
  births.count(found, routing.front().stats);
  BlameReport report{whole.tokens, whole.loss, routing.front().measured, std::move(found), std::nullopt};
  for (BlamedBirth& birth : report.births) {
    if (birth.refusal.empty()) birth.masked_loss = losses.without({birth.operation});
  }
  if (!maskable.empty()) report.loss_without_all = losses.without(maskable);
  return report;
}

}  // namespace mformer
