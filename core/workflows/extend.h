#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/history/diff.h"
#include "core/surgery/extension_budget.h"
#include "core/surgery/new_modules.h"
#include "core/workflows/train.h"
#include "core/workspace/routing_stats.h"

namespace mformer {

/// Throws UsageError with the known names.
NewModules new_modules_from_string(const std::string& text);

/// Two ways to add a domain:
///
/// A domain (the default) is kept apart: its modules, and private copies of routers, norms, key and value maps and of
/// the embedding and head rows of its tokens, are seen by its own hypothesis alone, and a posterior over births
/// (core/model/posterior.h) decides which text it reads. Copied modules take the place of what they were copied from,
/// so that it begins as the base was and is free to go anywhere: other text never meets it.
///
/// `single_mask`: the new modules join those that are there, for all text, in one softmax. One path, no posterior. What
/// keeps old text as it was is a small memory of it. By default it only gives the beginnings of texts that the model
/// writes itself and rehearses (core/workflows/rehearsal.h) while it learns the new domain; the router rows of new
/// modules are placed (core/training/place_rows.h) so that such text scores them low, and training goes on to hold the
/// two apart (`separation`). Rehearsal makes it safe to train the trunk and the routers too; old modules keep their
/// bits in any case. Without rehearsal (`rehearse` = 0) only new modules are trained, the memory itself is replayed,
/// and with `token_rows` the embedding and head rows of tokens that old text hardly has are trained too. Without an
/// earlier task there is no memory, and none of this.
struct ExtendCommand : TrainCommand {
  static constexpr double kReplay = 0.125;
  static constexpr double kBudget = 0.3;

  bool single_mask = false;
  /// New feed-forward and attention modules in each chosen layer; nothing = as many as `budget` allows, so that in
  /// every bank they take an equal part of the new domain's router mass.
  std::optional<std::int64_t> experts, heads;
  /// Largest share of the base's parameters that may be added where a number is not given, private parts included;
  /// nothing = kBudget, which one module and the private parts may exceed, where these are large: the report says so.
  std::optional<double> budget;
  std::string layers;  ///< "0-3" or "2"; empty = all.
  /// What the domain has for itself is rounded to 8 bits a weight once it is trained, and stored in these
  /// (core/checkpoint/eight_bits.h). All reported losses are of what is stored. Not with a single mask.
  bool eight_bits = false;
  bool equal = false;  ///< As many new modules of a kind in every layer, so that all keep equal counts.
  NewModules start = NewModules::copy;
  // Single mask only.
  /// Rehearsed texts for each sequence of a batch, beside them; 0 = none; nothing = 1 where there is an earlier task,
  /// and none where there is not, where `replay` is 0, or with token_rows.
  std::optional<double> rehearse;
  double rehearse_weight = 16;  ///< Of what is rehearsed against the new domain's loss.
  /// Share of training windows from earlier tasks, 0 … 1; nothing = kReplay where there is an earlier task and no
  /// rehearsal; 0 without rehearsal = no old text is looked at, so that rows are not placed either.
  std::optional<double> replay;
  double memory = 0.01;     ///< Share of each earlier task's training text that is ever looked at, 0 … 1.
  double separation = 0.1;  ///< Weight of placement_loss(); works on replayed windows.
  double penalty = 0;       ///< Weight of the router mass that old text gives to new modules.
  /// Embedding and head rows of tokens that come fewer times than this in earlier tasks' training text are trained. The
  /// two are trunk: merge() and drop() of such a version find a trunk that changed.
  std::int64_t token_rows = 0;
  /// Further steps that train only the new router rows, on a half-and-half mix; nothing = a tenth of the steps where
  /// there is replay.
  std::optional<std::int64_t> review_steps;

  bool rehearses() const { return single_mask && rehearse.value_or(0) > 0; }

  /// Throws UsageError for what is out of its range or does not go together.
  void validate() const;
};

/// Leak of one earlier task.
struct TaskLeak {
  std::string task;
  std::vector<LeakRow> rows;
  double mean = 0;
};

/// What the new task's held-out loss fell by, nats per token, and what of that is left without the new modules: with
/// the originals back in the places of their copies, and all else as it was trained (private parts; of a single mask
/// what it trained beside new modules). One more evaluation, by the posterior like the two others.
struct GainByPart {
  double before = 0, without_modules = 0, after = 0;
  double of_modules() const { return without_modules - after; }
  double of_the_rest() const { return before - without_modules; }
};

struct ExtendReport : TrainReport {
  std::string domain;                     ///< Its name; empty for a single mask.
  std::int64_t new_att = 0, new_mlp = 0;  ///< Modules added in all.
  std::vector<TaskLeak> leak;             ///< For every task but the new one.
  double use = 0;                         ///< The new domain's share of slots in new modules.
  ModelSize size_before, size_after;
  std::optional<BudgetUse> budget;  ///< Absent where both numbers of modules were given.
  /// Between the base and what was made of it, by their objects; absent after a dry run.
  std::optional<VersionDiff> difference;
  std::optional<GainByPart> gain;  ///< Absent after a dry run, and where the new task has no held-out text.
};

/// Adds modules to every chosen layer and trains what is new (see ExtendCommand) on the new domain; everything old
/// keeps its objects, with rehearsal all old modules. `penalty` weighs the mean router probability that tokens give to
/// new modules: of replayed tokens where there is replay, of all tokens otherwise. Throws UsageError for options that
/// do not go together, and for a budget in which not one module has room beside what was asked for and what a domain
/// has privately (with the hint, one that has); Error for a single mask on a model with domains, whose hypotheses would
/// all change.
ExtendReport extend(Session& session, const LoadedVersion& base, const ExtendCommand& command);

}  // namespace mformer
