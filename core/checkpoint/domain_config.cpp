#include "core/checkpoint/domain_config.h"

#include <algorithm>

#include "core/model/domains.h"
#include "modules_registry/error.h"
#include "modules_registry/records.h"

namespace mformer {
namespace {

/// Positions of the modules for which `chosen` holds, layer by layer.
template <typename Chosen>
nlohmann::json positions_of(const Model& model, Kind kind, const Chosen& chosen) {
  nlohmann::json layers = nlohmann::json::array();
  for (const Block& block : model.blocks) {
    nlohmann::json positions = nlohmann::json::array();
    const auto& modules = block.bank(kind).modules;
    for (std::size_t i = 0; i < modules.size(); ++i) {
      if (chosen(modules[i])) positions.push_back(i);
    }
    layers.push_back(std::move(positions));
  }
  return layers;
}

/// Calls `mark` for the modules at these positions.
template <typename Mark>
void for_each_at(Model& model, Kind kind, const nlohmann::json& layers, const Mark& mark) {
  for (std::size_t l = 0; l < model.blocks.size(); ++l) {
    for (const nlohmann::json& position : layers.at(l)) {
      mark(model.blocks[l].bank(kind).modules.at(position.get<std::size_t>()));
    }
  }
}

void take_domain(Model& model, const nlohmann::json& entry) {
  Domain domain{entry.at("name").get<std::string>(), entry.at("alone").get<bool>(), {}};
  require_valid_name("domain", domain.name);
  if (domain.name == kBaseHypothesis || find_domain(model, domain.name) != nullptr) {
    throw Error("the domain name '" + domain.name + "' is taken");
  }
  for (const Kind kind : {Kind::att, Kind::mlp}) {
    const std::string name(to_string(kind));
    for_each_at(model, kind, entry.at(name), [&](Module& module) {
      if (!module.domain.empty()) throw Error("a module belongs to two domains");
      module.domain = domain.name;
    });
    for_each_at(model, kind, entry.at("hidden_" + name), [&](Module& module) {
      if (module.domain.empty()) module.hidden_from.push_back(domain.name);
    });
  }
  model.domains.push_back(std::move(domain));
}

}  // namespace

ModelConfig config_with_domains(const Model& model) {
  ModelConfig config = model.config;
  if (model.domains.empty()) return config;
  nlohmann::json all = nlohmann::json::array();
  for (const Domain& domain : model.domains) {
    nlohmann::json entry = {{"name", domain.name}, {"alone", domain.alone}};
    for (const Kind kind : {Kind::att, Kind::mlp}) {
      const std::string name(to_string(kind));
      entry[name] = positions_of(model, kind, [&](const Module& m) { return m.domain == domain.name; });
      entry["hidden_" + name] = positions_of(model, kind, [&](const Module& m) {
        return std::find(m.hidden_from.begin(), m.hidden_from.end(), domain.name) != m.hidden_from.end();
      });
    }
    all.push_back(std::move(entry));
  }
  config.extra[kDomainsField] = std::move(all);
  return config;
}

void take_domains(Model& model, const std::string& source) {
  const auto field = model.config.extra.find(kDomainsField);
  if (field == model.config.extra.end()) return;
  const nlohmann::json entries = *field;
  model.config.extra.erase(field);
  try {
    for (const nlohmann::json& entry : entries) take_domain(model, entry);
    views_of(model);
  } catch (const std::exception& e) {
    throw Error(source + ": the field '" + kDomainsField + "' does not fit the model: " + e.what(),
                "was the file changed by hand?");
  }
}

void require_views(const Model& model, const std::string& source) {
  try {
    views_of(model);
  } catch (const std::exception& e) {
    throw Error(source + ": the domains' private parts do not fit the model: " + e.what(),
                "the weights do not belong together");
  }
}

}  // namespace mformer
