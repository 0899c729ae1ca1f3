#include "core/checkpoint/domain_config.h"

#include <algorithm>

#include "core/formats/quoted_name.h"
#include "core/model/domains.h"
#include "modules_registry/error.h"
#include "modules_registry/printable.h"
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

/// A value of the file for a sentence, shortened.
std::string shown(const nlohmann::json& value) {
  return printable(shortened(value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace), 60));
}

/// One entry of the field, checked wholly before it marks anything.
class EntryReader {
 public:
  EntryReader(Model& model, const nlohmann::json& entry, std::size_t number)
      : model_(model), entry_(entry), where_("entry " + std::to_string(number)) {}

  Domain read() {
    if (!entry_.is_object()) fail("is no object but " + shown(entry_));
    const nlohmann::json& name = field("name");
    if (!name.is_string()) fail("has a 'name' that is no text but " + shown(name));
    domain_.name = name.get<std::string>();
    where_ = "the domain " + quoted_name(domain_.name);
    check_name();
    const nlohmann::json& alone = field("alone");
    if (!alone.is_boolean()) fail("has an 'alone' that is neither true nor false but " + shown(alone));
    domain_.alone = alone.get<bool>();
    domain_.eight_bits = entry_.contains("stored_as");
    if (domain_.eight_bits && entry_["stored_as"] != "int8") {
      fail("is stored as " + shown(entry_["stored_as"]) + ", which this version of mformer does not know");
    }
    for (const Kind kind : {Kind::att, Kind::mlp}) mark(kind);
    return std::move(domain_);
  }

 private:
  [[noreturn]] void fail(const std::string& what) const { throw Error(where_ + " " + what); }

  void check_name() const {
    // A domain that was made before names had to show stays readable.
    if (!was_valid_name(domain_.name)) throw Error(quoted_name(domain_.name) + " can't be the name of a domain");
    if (domain_.name == kBaseHypothesis || find_domain(model_, domain_.name) != nullptr)
      fail("has a name that is taken");
  }

  const nlohmann::json& field(const std::string& name) const {
    const auto found = entry_.find(name);
    if (found == entry_.end()) fail("has no '" + name + "'");
    return *found;
  }

  void mark(Kind kind) {
    const std::string name(to_string(kind));
    for_each_module_of(name, kind, [&](Module& module, const std::string& which) {
      if (!module.domain.empty())
        fail("takes " + which + ", which the domain " + quoted_name(module.domain) + " has already");
      module.domain = domain_.name;
    });
    for_each_module_of("hidden_" + name, kind, [&](Module& module, const std::string&) {
      if (module.domain.empty()) module.hidden_from.push_back(domain_.name);
    });
  }

  /// Calls `visit` for the modules whose positions the field lists, layer by layer.
  template <typename Visit>
  void for_each_module_of(const std::string& name, Kind kind, const Visit& visit) {
    const nlohmann::json& layers = field(name);
    const std::size_t count = model_.blocks.size();
    if (!layers.is_array() || layers.size() != count) {
      fail("has an '" + name + "' that is no list of " + std::to_string(count) + " layers but " + shown(layers));
    }
    for (std::size_t l = 0; l < count; ++l) {
      auto& modules = model_.blocks[l].bank(kind).modules;
      const std::string of_layer = "layer " + std::to_string(l) + " in '" + name + "'";
      if (!layers[l].is_array()) fail("has no list for " + of_layer + " but " + shown(layers[l]));
      for (const nlohmann::json& position : layers[l]) {
        if (!position.is_number_unsigned() || position.get<std::uint64_t>() >= modules.size()) {
          fail("names module " + shown(position) + " of " + of_layer + ", which has the modules 0 to " +
               std::to_string(static_cast<std::int64_t>(modules.size()) - 1));
        }
        visit(modules[position.get<std::size_t>()], "module " + shown(position) + " of " + of_layer);
      }
    }
  }

  Model& model_;
  const nlohmann::json& entry_;
  std::string where_;
  Domain domain_;
};

}  // namespace

ModelConfig config_with_domains(const Model& model) {
  ModelConfig config = model.config;
  if (model.domains.empty()) return config;
  nlohmann::json all = nlohmann::json::array();
  for (const Domain& domain : model.domains) {
    nlohmann::json entry = {{"name", domain.name}, {"alone", domain.alone}};
    if (domain.eight_bits) entry["stored_as"] = "int8";
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
    if (!entries.is_array()) throw Error("it is no list but " + shown(entries));
    for (std::size_t i = 0; i < entries.size(); ++i) {
      model.domains.push_back(EntryReader(model, entries[i], i + 1).read());
    }
    views_of(model);
  } catch (const Error& e) {
    throw Error(source + ": the field '" + kDomainsField + "' does not fit the model: " + e.what(),
                "was the file changed by hand? export the model again");
  }
}

std::map<std::string, std::set<std::string>> module_owners(const Manifest& manifest) {
  Model bare;  // modules with nothing but their identities
  bare.config = ModelConfig::from_json(manifest.config_json, "the version's config");
  for (const LayerManifest& layer : manifest.layers) {
    Block& block = bare.blocks.emplace_back();
    for (const Kind kind : {Kind::att, Kind::mlp}) {
      block.bank(kind).k = 0;
      for (const ManifestModule& entry : layer.modules(kind)) {
        block.bank(kind).modules.emplace_back().uid = entry.uid;
      }
    }
  }
  take_domains(bare, "the version's config");
  std::map<std::string, std::set<std::string>> owners;
  for (const std::string& name : hypotheses(bare)) owners[name];
  for_each_module(bare, [&](const Module& module) {
    owners[module.domain.empty() ? kBaseHypothesis : module.domain].insert(module.uid);
  });
  return owners;
}

}  // namespace mformer
