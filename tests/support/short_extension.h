#pragma once

#include <string>

#include "core/workflows/extend.h"
#include "tests/support/tiny_workspace.h"

namespace mformer::testing {

/// extend with a sample corpus as a domain: two feed-forward modules and one of attention a layer, four steps.
inline ExtendCommand short_extension(const TinyWorkspace& workspace, const std::string& task) {
  ExtendCommand command;
  command.task = task;
  command.data = workspace.corpus(task);
  command.experts = 2;
  command.heads = 1;
  command.eval_tokens = 200;
  command.options.steps = 4;
  command.options.batch_size = 2;
  command.options.learning_rate = 1e-2;
  return command;
}

}  // namespace mformer::testing
