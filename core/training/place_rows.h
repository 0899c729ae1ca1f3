#pragma once

#include <vector>

#include "core/model/forward.h"
#include "core/training/batch.h"

namespace mformer {

// New modules that all text sees (a single mask) share their routers' softmax with the old ones. What keeps old text
// out of them is where their router rows lie. Here new modules are those without a uid, behind the old ones.

/// How rows are placed.
struct PlacementOptions {
  double old_weight = 2.0;  ///< Of an old token against a new one: above 1 guards old text.
  double ridge = 1e-3;      ///< Penalty on the squared shift, in units of the inputs' mean square.
};

/// Mean probability that the tokens of one router give to its new modules, before and after.
struct PlacedBank {
  int layer = 0;
  Kind kind = Kind::att;
  double old_before = 0, old_after = 0;  ///< Of old text.
  double new_before = 0, new_after = 0;  ///< Of new text.
};

/// Shifts the rows of each router's new modules by one common vector u, so that old text gives them little probability
/// and new text much. With z a router's input and P(z; u) the summed probability of its new modules, u minimises
///
///   old_weight · mean over old tokens −ln(1 − P)  +  mean over new tokens −ln P  +  ridge · mean z² · ‖u‖²/2,
///
/// a logistic regression whose offset is what the rows say already: convex, solved by Newton's method. What the rows
/// differ in, and so which new module a token prefers, stays. The same bits whatever the number of threads. Rows of
/// `gmm` routers, which only have a direction, and routers without new modules are left alone.
std::vector<PlacedBank> place_rows(Model& model, const std::vector<Batch>& old_text, const std::vector<Batch>& new_text,
                                   const PlacementOptions& options = {});

/// The same objective without ridge as a loss for training, summed over routers; rows of the batch that are replay are
/// old text. A part without tokens counts 0.
at::Tensor placement_loss(const Model& model, const ForwardOutput& output, const Batch& batch, double old_weight);

}  // namespace mformer
