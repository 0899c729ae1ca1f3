#include "core/workflows/blame.h"

#include <algorithm>
#include <set>

#include "core/workflows/drop.h"
#include "core/workflows/inspect.h"
#include "core/workspace/module_share.h"
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

  /// Adds the shares of one task's statistics up.
  void count(const std::vector<RoutingStat>& stats) {
    const std::vector<ModuleShare> shares = module_shares(stats);
    std::set<std::pair<int, Kind>> banks;
    for (const RoutingStat& stat : stats) banks.emplace(stat.layer, stat.kind);
    for (auto& [operation, birth] : births_) {
      for (const auto& bank : banks) birth.shares[bank] = 0;
    }
    for (std::size_t i = 0; i < stats.size(); ++i) {
      BlamedBirth& birth = births_.at(of_.at(stats[i].module_uid));
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

/// Measures the task's loss without some births.
class MaskedLosses {
 public:
  MaskedLosses(Session& session, const LoadedVersion& version, const Births& births, const TaskData& task,
               std::int64_t max_tokens)
      : session_(session), version_(version), births_(births), task_(task), max_tokens_(max_tokens) {}

  Evaluation whole() const { return *measure(version_.model); }

  /// Throws Error where too little would be left.
  double without(const std::set<std::int64_t>& operations, std::vector<std::string>& domains) const {
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

/// The model without the birth; nothing, and the reason in `birth`, where it can't do without.
void measure_without(const MaskedLosses& losses, BlamedBirth& birth) {
  try {
    birth.masked_loss = losses.without({birth.operation}, birth.domains);
  } catch (const TooLittleLeft& refusal) {
    birth.domains.clear();
    birth.refusal = refusal.what();
  }
}

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
  const TaskData task = open_task(session, tokenizer, command.task, "");
  Births births(session.registry, version);
  const MaskedLosses losses(session, version, births, task, command.max_tokens.value_or(kTokensToBlame));
  const Evaluation whole = losses.whole();  // a task without held-out text is told before routing is measured
  const std::vector<TaskRouting> routing =
      inspect_routing(session, version, {{command.task}, command.max_tokens, /*refresh=*/false}, keep);
  births.count(routing.front().stats);
  BlameReport report{whole.tokens, whole.loss, routing.front().measured, births.list(), std::nullopt};
  std::set<std::int64_t> masked;
  for (BlamedBirth& birth : report.births) {
    measure_without(losses, birth);
    if (birth.masked_loss && birth.operation != report.births.front().operation) masked.insert(birth.operation);
  }
  if (masked.size() < 2) return report;
  try {
    std::vector<std::string> domains;
    report.loss_without_all = losses.without(masked, domains);
  } catch (const TooLittleLeft&) {
    return report;  // each can be missed, all together can't
  }
  return report;
}

}  // namespace mformer
