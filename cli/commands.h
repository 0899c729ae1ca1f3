#pragma once

#include <CLI/CLI.hpp>

#include "cli/global_options.h"

namespace mformer::cli {

// Every command's setup, one declaration a line; each is defined in the file of its command (see command.h).
void setup_init(CLI::App& parent, const GlobalOptions& global);
void setup_import(CLI::App& parent, const GlobalOptions& global);
void setup_export(CLI::App& parent, const GlobalOptions& global);
void setup_tokenizer(CLI::App& parent, const GlobalOptions& global);
void setup_tokenizer_chat(CLI::App& parent, const GlobalOptions& global);
void setup_task(CLI::App& parent, const GlobalOptions& global);
void setup_task_rename(CLI::App& parent, const GlobalOptions& global);
void setup_task_remove(CLI::App& parent, const GlobalOptions& global);
void setup_tasks(CLI::App& parent, const GlobalOptions& global);
void setup_train(CLI::App& parent, const GlobalOptions& global);
void setup_extend(CLI::App& parent, const GlobalOptions& global);
void setup_freeze(CLI::App& parent, const GlobalOptions& global);
void setup_unfreeze(CLI::App& parent, const GlobalOptions& global);
void setup_finetune(CLI::App& parent, const GlobalOptions& global);
void setup_prune(CLI::App& parent, const GlobalOptions& global);
void setup_upcycle(CLI::App& parent, const GlobalOptions& global);
void setup_graft(CLI::App& parent, const GlobalOptions& global);
void setup_merge(CLI::App& parent, const GlobalOptions& global);
void setup_drop(CLI::App& parent, const GlobalOptions& global);
void setup_inspect(CLI::App& parent, const GlobalOptions& global);
void setup_inspect_routing(CLI::App& parent, const GlobalOptions& global);
void setup_inspect_keep_curve(CLI::App& parent, const GlobalOptions& global);
void setup_inspect_module(CLI::App& parent, const GlobalOptions& global);
void setup_inspect_modules(CLI::App& parent, const GlobalOptions& global);
void setup_inspect_posterior(CLI::App& parent, const GlobalOptions& global);
void setup_inspect_lineage(CLI::App& parent, const GlobalOptions& global);
void setup_eval(CLI::App& parent, const GlobalOptions& global);
void setup_verify(CLI::App& parent, const GlobalOptions& global);
void setup_blame(CLI::App& parent, const GlobalOptions& global);
void setup_probe(CLI::App& parent, const GlobalOptions& global);
void setup_report(CLI::App& parent, const GlobalOptions& global);
void setup_plot(CLI::App& parent, const GlobalOptions& global);
void setup_generate(CLI::App& parent, const GlobalOptions& global);
void setup_serve(CLI::App& parent, const GlobalOptions& global);
void setup_models(CLI::App& parent, const GlobalOptions& global);
void setup_model(CLI::App& parent, const GlobalOptions& global);
void setup_tag(CLI::App& parent, const GlobalOptions& global);
void setup_use(CLI::App& parent, const GlobalOptions& global);
void setup_branch(CLI::App& parent, const GlobalOptions& global);
void setup_move(CLI::App& parent, const GlobalOptions& global);
void setup_log(CLI::App& parent, const GlobalOptions& global);
void setup_show(CLI::App& parent, const GlobalOptions& global);
void setup_undo(CLI::App& parent, const GlobalOptions& global);
void setup_push(CLI::App& parent, const GlobalOptions& global);
void setup_pull(CLI::App& parent, const GlobalOptions& global);
void setup_bundle(CLI::App& parent, const GlobalOptions& global);
void setup_transfer_peer(CLI::App& parent, const GlobalOptions& global);
void setup_redo(CLI::App& parent, const GlobalOptions& global);
void setup_gc(CLI::App& parent, const GlobalOptions& global);
void setup_fsck(CLI::App& parent, const GlobalOptions& global);
void setup_diff(CLI::App& parent, const GlobalOptions& global);
void setup_doctor(CLI::App& parent, const GlobalOptions& global);
void setup_completion(CLI::App& parent, const GlobalOptions& global);
void setup_man_pages(CLI::App& parent, const GlobalOptions& global);

/// Adds every command to the root app, in the order in which the help lists them.
/// `global` is read when a command runs, and outlives `root`.
inline void setup_commands(CLI::App& root, const GlobalOptions& global) {
  setup_init(root, global);
  setup_import(root, global);
  setup_export(root, global);
  setup_tokenizer(root, global);
  setup_task(root, global);
  setup_tasks(root, global);
  setup_train(root, global);
  setup_extend(root, global);
  setup_freeze(root, global);
  setup_unfreeze(root, global);
  setup_finetune(root, global);
  setup_prune(root, global);
  setup_upcycle(root, global);
  setup_graft(root, global);
  setup_merge(root, global);
  setup_drop(root, global);
  setup_inspect(root, global);
  setup_eval(root, global);
  setup_verify(root, global);
  setup_blame(root, global);
  setup_probe(root, global);
  setup_report(root, global);
  setup_plot(root, global);
  setup_generate(root, global);
  setup_serve(root, global);
  setup_models(root, global);
  setup_model(root, global);
  setup_tag(root, global);
  setup_use(root, global);
  setup_branch(root, global);
  setup_move(root, global);
  setup_log(root, global);
  setup_show(root, global);
  setup_undo(root, global);
  setup_redo(root, global);
  setup_push(root, global);
  setup_pull(root, global);
  setup_bundle(root, global);
  setup_transfer_peer(root, global);
  setup_gc(root, global);
  setup_diff(root, global);
  setup_fsck(root, global);
  setup_doctor(root, global);
  setup_completion(root, global);
  setup_man_pages(root, global);
}

}  // namespace mformer::cli
