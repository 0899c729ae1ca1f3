#pragma once

#include <string>
#include <vector>

#include "core/model/model.h"
#include "core/surgery/new_modules.h"
#include "core/training/adamw.h"
#include "core/workspace/session.h"

namespace mformer {

/// Weights of everything that a domain on this task gets a private copy of: routers and their rows, norms, key and
/// value maps, and the rows of embedding and head of the tokens that the task's training text has.
std::int64_t private_weights(const Model& parent, const TaskData& task);

/// Turns gradients on for what a domain trains, in a copy of its parent with new modules (those without a uid), and
/// lists it: new modules, and all that private_weights() counts. Rows of embedding and head of other tokens keep their
/// bits. Frozen flags do not matter: originals are never changed.
std::vector<TrainedParameter> train_domain(Model& model, const TaskData& task);

/// `base` with the domain that `tuned` (as after training) makes: its new modules, and what else differs from the base
/// as private parts. `plan` says where they came from; with `replaced` they stand in those modules' places.
Model with_domain(const Model& base, const Model& tuned, const std::string& name, const NewModulePlan& plan,
                  bool replaced);

/// `tuned` without its new modules, and where these took their originals' places (`replaced`) with the originals of
/// `parent` there again: everything else stays as it was trained. Tensors are shared.
Model without_new_modules(const Model& parent, const Model& tuned, const NewModulePlan& plan, bool replaced);

/// `wanted`, or with the first number from 2 ("german-2") that makes it free.
std::string free_domain_name(const Model& model, const std::string& wanted);

}  // namespace mformer
