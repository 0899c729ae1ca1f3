#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/model/model.h"

namespace mformer {

/// What core/surgery/join.h does with the domains of two models that have their base in common.

/// Both undefined, or the same values.
bool same_tensor(const at::Tensor& a, const at::Tensor& b);

/// The model with other names for its domains, by their old names. Throws UsageError, with the nearest names, for a
/// domain that it does not have, and for a new name that is not free or wanted twice.
Model with_domains_renamed(Model model, const std::map<std::string, std::string>& rename);

/// The domains of `b`, renamed by `rename`, that `a` does not have. One that both have must be the same, modules and
/// parts, and have the same name: throws UsageError, with a hint that names `name_of_b`, for two domains of one name,
/// and for one domain under two.
std::vector<Domain> domains_to_add(const Model& a, const Model& b, const std::string& name_of_b,
                                   const std::map<std::string, std::string>& rename);

/// Sets Module::frozen in the model joined of `a` and `b` from `ancestor`: see join().
void join_frozen_flags(Model& joined, const Model& ancestor, const Model& a, const Model& b);

/// Sets Module::hidden_from in the model joined of `a` and `b`. A domain of one has copies in the place of some common
/// modules, and never saw what the other added for everybody: both are hidden from it.
void hide_from_domains(Model& joined, const Model& a, const Model& b);

}  // namespace mformer
