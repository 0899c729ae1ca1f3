#pragma once

#include <string>
#include <vector>

#include "core/model/model.h"

namespace mformer {

/// A model with domains stands for several models at once, its hypotheses: the base (what no domain owns), and one a
/// domain, which sees the base's modules (unless Domain::alone, or it has a copy in the place of one) and its own, with
/// its private parts in the place of the base's. No hypothesis sees another domain's modules or parts, so that adding a
/// domain leaves all others bit for bit as they were. Which one a text gets is decided by core/model/posterior.h, or by
/// the user.

/// The name of the hypothesis without any domain's modules.
inline constexpr const char* kBaseHypothesis = "base";

/// "base", then the domains in the order of their birth.
std::vector<std::string> hypotheses(const Model& model);

/// The domain of this name; null if there is none.
const Domain* find_domain(const Model& model, const std::string& name);

/// Whether the module is the base's and the domain's hypothesis sees it.
bool is_base_module_of(const Module& module, const Domain& domain);

/// One hypothesis as a plain model, sharing all tensors but embedding and head where the domain has rows of its own.
/// Of a model without domains "base" is the model itself. Throws UsageError, with the nearest names, for an unknown
/// hypothesis, and Error as select().
Model view_of(const Model& model, const std::string& hypothesis);

/// All views, in the order of hypotheses().
std::vector<Model> views_of(const Model& model);

/// What distinguishes `tuned` from `base` as the private parts of a domain: trunk and routers, rows of the embedding
/// and head that differ, and router rows of the base's modules. Both plain; the banks of `tuned` begin with `base`'s
/// modules, or, for a domain that is alone, have none of them. Tensors of `tuned` are shared.
std::vector<PrivatePart> private_parts(const Model& base, const Model& tuned, bool alone = false);

/// The modules of the domain `name` go, and its parts; all others stay the same tensors. Throws as view_of().
Model without_domain(const Model& model, const std::string& name);

}  // namespace mformer
