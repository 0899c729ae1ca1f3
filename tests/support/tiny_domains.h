#pragma once

#include <string>

#include "core/model/domains.h"
#include "tests/support/tiny_model.h"

namespace mformer::testing {

/// A tiny model whose weights are `model`'s and some noise, by the seed.
inline Model noisy_copy(const Model& model, std::uint64_t seed, double noise = 0.3) {
  Model copy = clone(model);
  at::Generator generator = at::detail::createCPUGenerator(seed);
  for_each_parameter(copy, [&](const ParameterRef& ref) {
    ref.tensor->add_(at::empty(ref.tensor->sizes()).normal_(0.0, noise, generator));
  });
  return copy;
}

/// Appends a domain: the hypothesis is `tuned`, of which the modules at position 0 of every bank are the domain's own
/// in the place of the base's, and everything else that differs becomes a private part. Only `tuned`'s modules at
/// position 0 may differ from the base's.
inline void add_domain(Model& model, const std::string& name, const Model& tuned) {
  Model seen = view_of(model, kBaseHypothesis), own = tuned;
  for (std::size_t l = 0; l < model.blocks.size(); ++l) {
    for (const Kind kind : {Kind::att, Kind::mlp}) {
      ModuleBank& bank = own.blocks[l].bank(kind);
      Module mine = bank.modules[0];
      mine.domain = name, mine.uid = name + std::to_string(l) + std::string(to_string(kind));
      bank.modules.erase(bank.modules.begin());
      auto& base_modules = seen.blocks[l].bank(kind).modules;
      base_modules.erase(base_modules.begin());
      for (Module& module : model.blocks[l].bank(kind).modules) {
        if (!module.domain.empty()) continue;
        module.hidden_from.push_back(name);
        break;
      }
      model.blocks[l].bank(kind).modules.push_back(mine);
      bank.modules.push_back(mine);
    }
  }
  model.domains.push_back({name, false, private_parts(seen, own)});
  count_modules(model);
}

/// What a domain's training may leave: the base with noise in trunk, routers, rows and the modules at position 0.
inline Model tuned_for_domain(const Model& base, std::uint64_t seed, double noise = 0.3) {
  Model tuned = noisy_copy(base, seed, noise), plain = view_of(base, kBaseHypothesis);
  for (std::size_t l = 0; l < plain.blocks.size(); ++l) {
    for (const Kind kind : {Kind::att, Kind::mlp}) {
      auto& modules = tuned.blocks[l].bank(kind).modules;
      for (std::size_t i = 1; i < modules.size(); ++i) {
        modules[i].in = plain.blocks[l].bank(kind).modules[i].in;
        modules[i].out = plain.blocks[l].bank(kind).modules[i].out;
      }
    }
  }
  return tuned;
}

/// The tiny model with the domains "german" and "python".
inline Model tiny_model_with_domains(const ModelConfig& config = tiny_config(), double noise = 0.3) {
  const Model base = tiny_model(config);
  Model model = base;
  add_domain(model, "german", tuned_for_domain(base, 5, noise));
  add_domain(model, "python", tuned_for_domain(base, 6, noise));
  return model;
}

}  // namespace mformer::testing
