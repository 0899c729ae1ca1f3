#include "core/workspace/version_store.h"

#include <ATen/ops/stack.h>

#include <functional>
#include <map>
#include <set>
#include <utility>

#include "core/checkpoint/domain_config.h"
#include "core/checkpoint/eight_bits.h"
#include "core/checkpoint/hub_model.h"
#include "core/checkpoint/tensor_io.h"
#include "core/checkpoint/written_parameters.h"
#include "core/formats/parameter_names.h"
#include "core/workspace/object_parts.h"
#include "core/workspace/parts_ahead.h"
#include "core/workspace/version_outline.h"
#include "core/workspace/version_tokenizer.h"
#include "modules_registry/error.h"

namespace mformer {
namespace {

std::string put(Registry& registry, const NamedParts& parts) {
  std::vector<TensorToWrite> to_be_written;
  for (const auto& [name, tensor] : parts) to_be_written.push_back(to_write(name, tensor));
  const SafetensorsPieces pieces = safetensors_pieces(to_be_written);
  std::vector<Bytes> object{as_bytes(pieces.header)};
  object.insert(object.end(), pieces.data.begin(), pieces.data.end());
  return registry.objects().put(object);
}

/// Those that there are, as they can be written.
NamedParts writable(NamedParts parts) {
  NamedParts kept;
  for (auto& [name, tensor] : parts) {
    if (tensor.defined()) kept.emplace_back(std::move(name), tensor.detach().contiguous());
  }
  return kept;
}

/// The parts of a model's trunk, each with the names of the parameters in it.
std::vector<std::pair<std::string, std::vector<std::string>>> trunk_parts(Model& model) {
  std::vector<std::pair<std::string, std::vector<std::string>>> parts;
  for_each_parameter(model, [&](const ParameterRef& ref) {
    if (ref.part != ParameterRef::Part::trunk) return;
    const std::string part = part_of_trunk(ref.name).part;
    if (parts.empty() || parts.back().first != part) parts.push_back({part, {}});
    parts.back().second.push_back(ref.name);
  });
  return parts;
}

NamedParts router_parts(std::int64_t layer, Kind kind, std::int64_t modules, const ByParameter& parameter) {
  NamedParts parts;
  for (const char* tensor : kRouterTensors) {
    parts.emplace_back(tensor, parameter(names::bank(layer, kind) + ".router." + tensor));
  }
  std::vector<at::Tensor> rows;
  for (std::int64_t i = 0; i < modules; ++i) rows.push_back(parameter(names::module(layer, kind, i) + ".row"));
  parts.emplace_back("rows", at::stack(rows));
  return parts;
}

NamedParts module_parts(const std::string& name, const ByParameter& parameter) {
  NamedParts parts;
  for (const char* tensor : kModuleTensors) parts.emplace_back(tensor, parameter(name + "." + tensor));
  return parts;
}

/// The matrices that are stored in 8 bits: those of domains that ask for it.
class EightBits {
 public:
  explicit EightBits(const Model& outline) : shapes_(shapes_by_name(outline.config)) {
    for (const Domain& domain : outline.domains) {
      if (domain.eight_bits) domains_.insert(domain.name);
    }
  }

  NamedParts of_module(const Module& module, const std::string& name, NamedParts parts) const {
    if (!domains_.contains(module.domain)) return parts;
    for (auto& [tensor, value] : parts) {
      const auto shape = shapes_.find(name + "." + tensor);
      if (shape != shapes_.end()) value = in_eight_bits(value, shape->second);
    }
    return parts;
  }

  at::Tensor of_part(const Domain& domain, const PrivatePart& part) const {
    const auto shape = shapes_.find(part.name);
    return domain.eight_bits && shape != shapes_.end() ? in_eight_bits(part.value, shape->second) : part.value;
  }

 private:
  std::map<std::string, ParameterShape> shapes_;
  std::set<std::string> domains_;
};

/// The objects of a version, in the order in which they are made.
class ObjectList {
 public:
  /// `named` learns the object's hash.
  void add(PartsAhead::Make make, std::function<void(std::string)> named) {
    make_.push_back([make = std::move(make)] { return writable(make()); });
    named_.push_back(std::move(named));
  }

  void put_all(Registry& registry) {
    PartsAhead parts(std::move(make_));
    for (const auto& named : named_) named(put(registry, parts.next()));
  }

 private:
  std::vector<PartsAhead::Make> make_;
  std::vector<std::function<void(std::string)>> named_;
};

void list_parts(Model& outline, const ByParameter& parameter, const EightBits& eight_bits, Manifest& manifest,
                ObjectList& objects) {
  const auto list = [&](const std::string& part, PartsAhead::Make make) {
    const std::size_t i = manifest.parts.size();
    manifest.parts.push_back({part, ""});
    objects.add(std::move(make), [&manifest, i](std::string hash) { manifest.parts[i].object_hash = std::move(hash); });
  };
  for (const auto& [part, parameters] : trunk_parts(outline)) {
    list(part, [&parameter, parameters] {
      NamedParts tensors;
      for (const std::string& name : parameters) tensors.emplace_back(part_of_trunk(name).tensor, parameter(name));
      return tensors;
    });
  }
  for (const Domain& domain : outline.domains) {
    for (const PrivatePart& part : domain.parts) {
      list(std::string(names::kPrivatePrefix) + domain.name + "/" + part.name, [&domain, &part, &eight_bits] {
        return NamedParts{{"value", eight_bits.of_part(domain, part)}, {"rows", part.rows}};
      });
    }
  }
}

void list_bank(std::int64_t layer, ModuleBank& bank, const ByParameter& parameter, const EightBits& eight_bits,
               LayerManifest& manifest, ObjectList& objects) {
  const Kind kind = bank.kind;
  if (bank.routed) {
    objects.add(
        [layer, kind, modules = bank.size(), &parameter] { return router_parts(layer, kind, modules, parameter); },
        [&manifest, kind](std::string hash) { manifest.router(kind) = std::move(hash); });
  }
  for (std::int64_t i = 0; i < bank.size(); ++i) {
    Module& module = bank.modules[static_cast<std::size_t>(i)];
    if (module.uid.empty()) module.uid = random_uid();
    manifest.modules(kind).push_back({module.uid, "", module.frozen});
    objects.add([name = names::module(layer, kind, i), &module, &parameter,
                 &eight_bits] { return eight_bits.of_module(module, name, module_parts(name, parameter)); },
                [&manifest, kind, i](std::string hash) {
                  manifest.modules(kind)[static_cast<std::size_t>(i)].object_hash = std::move(hash);
                });
  }
}

}  // namespace

const Tokenizer& require_tokenizer(const LoadedVersion& version) {
  if (!version.tokenizer.has_value()) refuse_without_tokenizer(version.record);
  return *version.tokenizer;
}

void require_trainable(const LoadedVersion& version) {
  if (!version.model.config.is_quantized()) return;
  throw Error("the weights of " + to_string(version.record) + " are quantised, which can't be trained",
              "train the version that they were made from; or write them as bfloat16 with mformer export DIR, and "
              "import that");
}

Manifest store_model(Registry& registry, Model& model, const std::string& tokenizer_object) {
  return store_outline(registry, model, parameters_of(model), tokenizer_object);
}

Manifest store_outline(Registry& registry, Model& outline, const ByParameter& parameter,
                       const std::string& tokenizer_object) {
  Manifest manifest;
  manifest.config_json = config_with_domains(outline).to_json();
  manifest.tokenizer_object = tokenizer_object;
  const EightBits eight_bits(outline);
  ObjectList objects;
  list_parts(outline, parameter, eight_bits, manifest, objects);
  manifest.layers.resize(outline.blocks.size());
  for (std::size_t l = 0; l < outline.blocks.size(); ++l) {
    for (const Kind kind : {Kind::att, Kind::mlp}) {
      list_bank(static_cast<std::int64_t>(l), outline.blocks[l].bank(kind), parameter, eight_bits, manifest.layers[l],
                objects);
    }
  }
  objects.put_all(registry);
  return manifest;
}

std::vector<ModuleRecord> birth_records(const Model& model, const std::vector<std::string>& known,
                                        const std::string& command, const std::string& task,
                                        const std::function<std::string(Kind, int, std::int64_t)>& origin) {
  const std::set<std::string> old(known.begin(), known.end());
  std::vector<ModuleRecord> born;
  for (std::size_t l = 0; l < model.blocks.size(); ++l) {
    for (const Kind kind : {Kind::att, Kind::mlp}) {
      const auto& modules = model.blocks[l].bank(kind).modules;
      for (std::size_t i = 0; i < modules.size(); ++i) {
        if (old.count(modules[i].uid) != 0) continue;
        ModuleRecord record;
        record.uid = modules[i].uid;
        record.kind = kind;
        record.layer = static_cast<int>(l);
        record.born_command = command;
        record.born_task = task;
        if (origin) record.copied_from = origin(kind, record.layer, static_cast<std::int64_t>(i));
        born.push_back(std::move(record));
      }
    }
  }
  return born;
}

std::vector<std::string> module_uids(const Manifest& manifest) {
  std::vector<std::string> uids;
  for (const LayerManifest& layer : manifest.layers) {
    for (const Kind kind : {Kind::att, Kind::mlp}) {
      for (const ManifestModule& module : layer.modules(kind)) uids.push_back(module.uid);
    }
  }
  return uids;
}

ModuleSelection born_by(const Model& model, const Manifest& earlier) {
  const auto uids = module_uids(earlier);
  const std::set<std::string> known(uids.begin(), uids.end());
  return modules_where(model, [&](const Module& module) { return known.count(module.uid) != 0; });
}

}  // namespace mformer
