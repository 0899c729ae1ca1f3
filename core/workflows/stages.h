#pragma once

#include "core/workflows/drop.h"
#include "core/workflows/evaluate_tasks.h"
#include "core/workflows/extend.h"
#include "core/workflows/finetune.h"
#include "core/workflows/graft.h"
#include "core/workflows/inspect.h"
#include "core/workflows/merge.h"
#include "core/workflows/prune.h"
#include "core/workflows/upcycle.h"
#include "core/workflows/verify.h"

/// What each workflow will go through, told to the watcher before it begins (Watcher::plan). Whoever changes the order
/// of a workflow changes it here too; tests/e2e/test_stages.py holds both together.
namespace mformer {

void announce_stages(Session& session, const LoadedVersion& base, const PretrainCommand& command);
void announce_stages(Session& session, const LoadedVersion& base, const ExtendCommand& command);
void announce_stages(Session& session, const LoadedVersion& base, const FinetuneCommand& command);
void announce_stages(Session& session, const LoadedVersion& base, const PruneCommand& command);
void announce_stages(Session& session, const LoadedVersion& base, const UpcycleCommand& command);
void announce_stages(Session& session, const LoadedVersion& base, const DropCommand& command);
void announce_stages(Session& session, const LoadedVersion& full, const GraftCommand& command);
/// `b`: the second branch's hash where its scores are kept here, or "".
void announce_stages(Session& session, const LoadedVersion& ancestor, const LoadedVersion& a, const std::string& b,
                     const MergeCommand& command);
/// `keeps_scores`: whether losses that are known need not be measured.
void announce_stages(Session& session, const LoadedVersion& version, const EvalCommand& command, bool keeps_scores);
void announce_stages(Session& session, const LoadedVersion& version, const LoadedVersion& against,
                     const VerifyCommand& command);
void announce_stages(Session& session, const LoadedVersion& version, const InspectRoutingCommand& command);

}  // namespace mformer
