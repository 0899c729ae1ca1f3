#pragma once

#include <vector>

#include "core/surgery/upcycle.h"
#include "core/workspace/session.h"

// What slices learn from text before any training, so that leaving some out costs little. `model` is as upcycled()
// makes it, all slices taken; at most `max_tokens` of the task's training text are read (0 = all). Every token counts
// the same: the first of a text, whose activations are hundreds of times as large as others', would else decide alone.

namespace mformer {

/// The hidden units of each of `layers`, those first that put out most: by the mean over tokens of
/// |activation| · ‖row of W_out‖, as a share of the token's sum. `units`: of a module, whatever fills it up. Slices of
/// units in this order differ in what they matter: some are needed by every token, and of the others many can be left
/// out.
UnitOrder order_units(const Session& session, const Model& model, const std::vector<std::int64_t>& layers,
                      std::int64_t units, const TaskData& task, std::int64_t max_tokens);

/// Router rows by least squares (with a little ridge): a row's product with the layer's input is the norm of what its
/// slice puts out there, over the mean of all slices' norms, so that those which matter little are not chosen. They are
/// then scaled so that logits differ by kSpread: gates stay nearly alike. New tensors, in place of the rows there were.
void fit_rows(const Session& session, Model& model, const std::vector<std::int64_t>& layers, const TaskData& task,
              std::int64_t max_tokens);

}  // namespace mformer
