#pragma once

#include <map>
#include <string>

#include "core/workspace/version_store.h"

namespace mformer {

/// Throws Error, naming the part and with a hint, unless `branch` is `ancestor` plus modules and domains: config,
/// tokenizer, trunk, modules, and of the routers what their modules share and the rows of the ancestor's modules are
/// all there with the same bits.
void require_only_added(const LoadedVersion& ancestor, const LoadedVersion& branch);

/// The ancestor's modules, then those that `a` added to it, then those that `b` added, each with its router row; the
/// domains of both. `a` and `b` must both be the ancestor plus something (require_only_added). All tensors are shared.
///
/// A hypothesis of either branch that belongs to a domain is, bit for bit, what it was in its branch: modules that the
/// other branch added for everybody are hidden from it. Modules added for everybody by both branches meet in one
/// softmax. A module that both have (from an earlier merge) comes once.
///
/// Frozen flags: one that a branch changed is taken over, from whichever it was (if both changed it, they agree). A
/// module that only the branches have, from an earlier merge, is frozen if either says so.
///
/// `rename`: domains of `b` that get another name here. Throws UsageError with a hint when a name of `b` is taken in
/// `a`, a renamed domain is not there, two would get one name, or one that `a` has would get another name; and Error
/// when a module that both added has other bits.
Model join(const LoadedVersion& ancestor, const LoadedVersion& a, const LoadedVersion& b,
           const std::map<std::string, std::string>& rename);

}  // namespace mformer
