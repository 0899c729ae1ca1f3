#include "core/workflows/stages.h"

#include <algorithm>

#include "core/workflows/extend_checks.h"
#include "core/workspace/stage_plan.h"

namespace mformer {
namespace {

using Names = StagePlan::Names;

/// Whether the posterior is asked which hypothesis reads the task.
bool asks_posterior(const LoadedVersion& version, const std::string& domain) {
  return domain.empty() && !version.model.domains.empty();
}

/// What every command does that measures all tasks of two versions, of which the second is new.
StagePlan& compare_all(StagePlan& plan, const LoadedVersion& before, const Names& tasks, std::int64_t tokens) {
  return plan.evaluate(tasks, before.record.hash, tokens).evaluate(tasks);
}

bool reviews(const ExtendCommand& command, bool rehearses) {
  if (!command.single_mask) return false;
  const double replay = command.replay.value_or(rehearses ? 0 : ExtendCommand::kReplay);
  return command.review_steps.value_or(replay > 0 ? command.options.steps / 10 : 0) > 0;
}

}  // namespace

void announce_stages(Session& session, const LoadedVersion& base, const PretrainCommand& command) {
  const std::string own = name_of_task(command.task, command.data);
  const Names all = all_tasks(session.registry, own);
  StagePlan plan(session);
  plan.tokenise(base, {own});
  if (!command.dry_run) {
    plan.tokenise(base, other_tasks(session.registry, own)).evaluate(all, base.record.hash, command.eval_tokens);
    plan.then(session.command).evaluate(all);
  }
  plan.announce();
}

void announce_stages(Session& session, const LoadedVersion& base, const ExtendCommand& command) {
  const std::string own = name_of_task(command.task, command.data);
  const Names all = all_tasks(session.registry, own), others = other_tasks(session.registry, own);
  const bool open = !command.experts || !command.heads;
  const double texts = command.rehearse.value_or(default_rehearsal(session.registry, command, own));
  const bool rehearses = command.single_mask && texts > 0;
  StagePlan plan(session);
  plan.tokenise(base, {own});
  if (open || (command.start != NewModules::random && !command.dry_run)) plan.routing({own});
  if (!command.dry_run) {
    plan.tokenise(base, others).evaluate(all, base.record.hash, command.eval_tokens);
    plan.then("write what to rehearse", rehearses ? 1 : 0).then("extend");
    plan.then("review", !others.empty() && reviews(command, rehearses) ? 1 : 0);
    plan.evaluate(all).routing(all).evaluate({own});
  }
  plan.announce();
}

void announce_stages(Session& session, const LoadedVersion& base, const FinetuneCommand& command) {
  const std::string own = name_of_task(command.task, command.data);
  const Names all = all_tasks(session.registry, own);
  StagePlan plan(session);
  plan.tokenise(base, {own}).then("hypothesis of " + own, asks_posterior(base, command.domain) ? 1 : 0);
  if (command.choice && needs_statistics(command.choice->criterion)) plan.routing({own});
  if (!command.dry_run) {
    plan.tokenise(base, other_tasks(session.registry, own)).evaluate(all, base.record.hash, command.eval_tokens);
    plan.then(session.command).evaluate(all);
    for (const std::string& task : all) {
      const auto recorded = [&](Split split) {
        const Measured on = measured_on(split, command.eval_tokens);
        return session.registry.has_task(task) && !session.registry.routing_stats(base.record.hash, task, on).empty();
      };
      if (!recorded(Split::held_out) && !recorded(Split::train)) plan.routing({task});
      plan.routing({task});
    }
  }
  plan.announce();
}

void announce_stages(Session& session, const LoadedVersion& base, const PruneCommand& command) {
  const std::string own = name_of_task(command.task, command.data);
  const Names others = other_tasks(session.registry, own);
  StagePlan plan(session);
  plan.tokenise(base, {own}).then("hypothesis of " + own, asks_posterior(base, command.domain) ? 1 : 0);
  if (needs_statistics(command.criterion)) plan.routing({own});
  plan.evaluate({own});
  if (!command.dry_run) plan.then("heal", command.heal_steps > 0 ? 1 : 0).then("tune", command.tune_steps > 0 ? 1 : 0);
  plan.evaluate({own});
  if (!command.dry_run) compare_all(plan.tokenise(base, others), base, others, command.eval_tokens);
  plan.announce();
}

void announce_stages(Session& session, const LoadedVersion& base, const UpcycleCommand& command) {
  const bool has_task = !command.task.empty() || !command.data.empty();
  const std::string own = has_task ? name_of_task(command.task, command.data) : "";
  const Names one = has_task ? Names{own} : Names{}, others = other_tasks(session.registry, own);
  const bool changes = command.noise > 0 || command.fits_routers(), trains = command.steps > 0;
  StagePlan plan(session);
  plan.tokenise(base, one);
  if (!command.dry_run) {
    plan.evaluate(one);
    if (changes || trains) plan.evaluate(one);
    plan.then("fit routers", command.fits_routers() ? 2 : 0);
    if (changes && trains) plan.evaluate(one);
    plan.then("upcycle", trains ? 1 : 0).evaluate(one);
    if (base.tokenizer) compare_all(plan.tokenise(base, others), base, others, command.eval_tokens);
  }
  plan.announce();
}

void announce_stages(Session& session, const LoadedVersion& base, const DropCommand& command) {
  if (!base.tokenizer) return;
  const Names all = all_tasks(session.registry);
  StagePlan plan(session);
  plan.tokenise(base, all).evaluate(all, command.dry_run ? "" : base.record.hash, command.eval_tokens).evaluate(all);
  plan.announce();
}

void announce_stages(Session& session, const LoadedVersion& full, const GraftCommand& command) {
  if (!full.tokenizer || command.dry_run) return;
  const Names all = all_tasks(session.registry);
  StagePlan plan(session);
  compare_all(plan.tokenise(full, all), full, all, command.eval_tokens).announce();
}

void announce_stages(Session& session, const LoadedVersion& ancestor, const LoadedVersion& a, const std::string& b,
                     const MergeCommand& command) {
  if (!a.tokenizer || command.dry_run) return;
  const Names all = all_tasks(session.registry);
  StagePlan plan(session);
  plan.tokenise(a, all).then("review", command.review_steps > 0 ? 1 : 0);
  for (const std::string& version : {ancestor.record.hash, a.record.hash, b}) {
    plan.evaluate(all, version, command.eval_tokens);
  }
  plan.evaluate(all).announce();
}

void announce_stages(Session& session, const LoadedVersion& version, const EvalCommand& command, bool keeps_scores) {
  Names names = command.tasks.empty() ? all_tasks(session.registry) : command.tasks;
  if (!command.data.empty()) names = {name_of_task("", command.data)};
  StagePlan plan(session);
  plan.tokenise(version, names).evaluate(names, keeps_scores ? version.record.hash : "", command.max_tokens);
  plan.announce();
}

void announce_stages(Session& session, const LoadedVersion& version, const LoadedVersion& against,
                     const VerifyCommand& command) {
  Names names;
  for (const std::string& name : command.tasks.empty() ? all_tasks(session.registry) : command.tasks) {
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  }
  const std::int64_t versions = version.record.hash == against.record.hash ? 1 : 2;
  StagePlan plan(session);
  plan.tokenise(version, names);
  for (const std::string& name : names) plan.then(stage_of(name, Split::held_out), versions);
  plan.announce();
}

void announce_stages(Session& session, const LoadedVersion& version, const InspectRoutingCommand& command) {
  StagePlan plan(session);
  for (const std::string& name : command.tasks.empty() ? all_tasks(session.registry) : command.tasks) {
    const bool known =
        session.registry.has_task(name) && !session.registry.routing_stats(version.record.hash, name).empty();
    if (known && !command.measures_again()) continue;
    plan.tokenise(version, {name}).routing({name});
  }
  plan.announce();
}

}  // namespace mformer
