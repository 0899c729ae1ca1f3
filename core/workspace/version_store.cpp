#include "core/workspace/version_store.h"

#include <ATen/ops/stack.h>

#include <algorithm>
#include <set>

#include "core/checkpoint/domain_config.h"
#include "core/checkpoint/tensor_io.h"
#include "core/formats/parameter_shapes.h"
#include "core/model/domains.h"
#include "modules_registry/error.h"

namespace mformer {
namespace {

using NamedParts = std::vector<std::pair<std::string, at::Tensor>>;

std::string put(Registry& registry, const NamedParts& parts) {
  std::vector<at::Tensor> contiguous;  // keeps the bytes alive until they are written
  std::vector<TensorToWrite> to_be_written;
  for (const auto& [name, tensor] : parts) {
    if (!tensor.defined()) continue;
    contiguous.push_back(tensor.detach().contiguous());
    to_be_written.push_back(to_write(name, contiguous.back()));
  }
  return registry.objects().put(serialize_safetensors(to_be_written));
}

SafetensorsFile open_object(const Registry& registry, const std::string& hash) {
  return SafetensorsFile::open(registry.objects().verified_path(hash));
}

at::Tensor take(const SafetensorsFile& file, const char* name) {
  const TensorView* view = file.find(name);
  return view == nullptr ? at::Tensor() : to_tensor(*view);
}

/// The trunk parts of a model, each with the tensors that belong together: "h.0.ln_1" holds `weight` and `bias`. A
/// parameter without such an ending is alone, as `weight`.
struct TrunkSlot {
  std::string name;
  std::vector<std::pair<std::string, at::Tensor*>> tensors;
};

std::vector<TrunkSlot> trunk_slots(Model& model) {
  std::vector<TrunkSlot> slots;
  for_each_parameter(model, [&](const ParameterRef& ref) {
    if (ref.part != ParameterRef::Part::trunk) return;
    std::string slot = ref.name, tensor = "weight";
    for (const std::string_view ending : {".weight", ".bias", ".in", ".out", ".gate"}) {
      if (!ref.name.ends_with(ending)) continue;
      slot = ref.name.substr(0, ref.name.size() - ending.size());
      tensor = ending.substr(1);
    }
    if (slots.empty() || slots.back().name != slot) slots.push_back({slot, {}});
    slots.back().tensors.emplace_back(tensor, ref.tensor);
  });
  return slots;
}

void load_trunk(const Registry& registry, const Manifest& manifest, Model& model) {
  for (const TrunkSlot& slot : trunk_slots(model)) {
    const auto part = std::find_if(manifest.parts.begin(), manifest.parts.end(),
                                   [&](const TrunkPart& p) { return p.name == slot.name; });
    if (part == manifest.parts.end())
      throw Error("the version lacks its part '" + slot.name + "'", "mformer fsck says more");
    const SafetensorsFile file = open_object(registry, part->object_hash);
    for (const auto& [name, tensor] : slot.tensors) {
      *tensor = take(file, name.c_str());
      if (!tensor->defined()) throw Error(file.source() + " has no " + name, "mformer fsck says more");
    }
  }
  if (model.config.tie_word_embeddings) model.lm_head = model.wte;
}

/// "domain german/h.0.ln_1.weight" → "german", "h.0.ln_1.weight"; the parts of the trunk have no such prefix.
constexpr std::string_view kPrivatePrefix = "domain ";

void load_private_parts(const Registry& registry, const Manifest& manifest, Model& model) {
  for (const TrunkPart& part : manifest.parts) {
    if (!part.name.starts_with(kPrivatePrefix)) continue;
    const std::size_t slash = part.name.find('/');
    const std::string owner = part.name.substr(kPrivatePrefix.size(), slash - kPrivatePrefix.size());
    const auto domain =
        std::find_if(model.domains.begin(), model.domains.end(), [&](const Domain& d) { return d.name == owner; });
    const SafetensorsFile file = open_object(registry, part.object_hash);
    const at::Tensor value = take(file, "value");
    if (domain == model.domains.end() || slash == std::string::npos || !value.defined()) {
      throw Error(file.source() + " is no private part of a domain", "mformer fsck says more");
    }
    domain->parts.push_back({part.name.substr(slash + 1), take(file, "rows"), value});
  }
}

void load_router(const Registry& registry, const std::string& hash, ModuleBank& bank) {
  if (!bank.routed) return;
  const SafetensorsFile router = open_object(registry, hash);
  bank.router = {take(router, "weight"), take(router, "bias"), take(router, "temperature")};
  const at::Tensor rows = take(router, "rows");
  if (!rows.defined() || rows.size(0) != bank.size()) {
    throw Error(router.source() + " does not have a row for each module", "mformer fsck says more");
  }
  for (std::int64_t i = 0; i < bank.size(); ++i) bank.modules[i].row = rows.select(0, i).clone();
}

/// The tensors of a module's object.
std::vector<std::pair<const char*, at::Tensor*>> module_tensors(Module& module) {
  return {{"in", &module.in},           {"in_scale", &module.in_scale},
          {"out", &module.out},         {"out_scale", &module.out_scale},
          {"in_bias", &module.in_bias}, {"head_norm", &module.head_norm}};
}

void load_bank(const Registry& registry, const LayerManifest& layer, ModuleBank& bank) {
  const auto& entries = layer.modules(bank.kind);
  if (entries.size() != bank.modules.size()) {
    throw Error("a layer of the version has another number of modules than its config says", "mformer fsck says more");
  }
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const SafetensorsFile object = open_object(registry, entries[i].object_hash);
    Module module;
    for (const auto& [name, tensor] : module_tensors(module)) *tensor = take(object, name);
    if (!module.in.defined() || !module.out.defined()) {
      throw Error(object.source() + " is not a module", "mformer fsck says more");
    }
    module.uid = entries[i].uid;
    module.frozen = entries[i].frozen;
    bank.modules[i] = std::move(module);
  }
  load_router(registry, layer.router(bank.kind), bank);
}

/// The hash of the router's object; empty where there is no router.
std::string put_router(Registry& registry, const ModuleBank& bank) {
  if (!bank.routed) return "";
  std::vector<at::Tensor> rows;
  for (const Module& module : bank.modules) rows.push_back(module.row.detach());
  return put(registry, {{"weight", bank.router.weight},
                        {"bias", bank.router.bias},
                        {"temperature", bank.router.temperature},
                        {"rows", at::stack(rows)}});
}

std::string put_module(Registry& registry, Module& module) {
  NamedParts parts;
  for (const auto& [name, tensor] : module_tensors(module)) parts.emplace_back(name, *tensor);
  return put(registry, parts);
}

bool fits(const at::Tensor& x, const ParameterShape& wanted) {
  const bool type = wanted.codes                          ? x.scalar_type() == at::kChar
                    : wanted.role == ParameterRole::scale ? x.scalar_type() == at::kFloat
                                                          : x.is_floating_point();
  return type && x.sizes() == at::IntArrayRef(wanted.shape);
}

/// Objects carry no config: they must fit the version's.
void require_fit(Model& model, const std::string& version) {
  const std::vector<ParameterRef> there = parameters(model);
  const std::vector<ParameterShape> wanted = parameter_shapes(model.config);
  for (std::size_t i = 0; i < std::max(there.size(), wanted.size()); ++i) {
    const bool both = i < there.size() && i < wanted.size();
    if (both && there[i].name == wanted[i].name && fits(*there[i].tensor, wanted[i])) continue;
    throw Error("the objects of " + version + " do not fit its config: '" +
                    (i < wanted.size() ? wanted[i].name : there[i].name) + "'",
                "mformer fsck says more");
  }
}

}  // namespace

LoadedVersion load_version(const Registry& registry, const VersionRecord& version) {
  LoadedVersion loaded{version, registry.manifest(version.hash), {}, std::nullopt, version.model};
  const ModelConfig config = ModelConfig::from_json(loaded.manifest.config_json, "the config of " + to_string(version));
  if (static_cast<std::int64_t>(loaded.manifest.layers.size()) != config.n_layer) {
    throw Error(to_string(version) + " has another number of layers than its config says", "mformer fsck says more");
  }
  loaded.model = allocate_model(config, at::kFloat);
  for (std::size_t l = 0; l < loaded.manifest.layers.size(); ++l) {
    load_bank(registry, loaded.manifest.layers[l], loaded.model.blocks[l].att);
    load_bank(registry, loaded.manifest.layers[l], loaded.model.blocks[l].mlp);
  }
  load_trunk(registry, loaded.manifest, loaded.model);
  require_fit(loaded.model, to_string(version));
  take_domains(loaded.model, "the config of " + to_string(version));
  load_private_parts(registry, loaded.manifest, loaded.model);
  require_views(loaded.model, "the objects of " + to_string(version));
  if (!loaded.manifest.tokenizer_object.empty()) {
    loaded.tokenizer =
        Tokenizer::from_json(read_file(registry.objects().verified_path(loaded.manifest.tokenizer_object)),
                             "the tokenizer of " + to_string(version))
            .ending_with(config.eos_token_id);
  }
  return loaded;
}

const Tokenizer& require_tokenizer(const LoadedVersion& version) {
  if (!version.tokenizer.has_value()) {
    throw Error("the model " + to_string(version.record) + " has no tokenizer",
                "import it from a folder with a tokenizer.json, or start with: mformer init --tokenizer FILE");
  }
  return *version.tokenizer;
}

void require_trainable(const LoadedVersion& version) {
  if (!version.model.config.is_quantized()) return;
  throw Error("the modules of " + to_string(version.record) + " are int8, which can't be trained",
              "train the version that they were made from; or write them as bfloat16 with mformer export DIR, and "
              "import that");
}

Manifest store_model(Registry& registry, Model& model, const std::string& tokenizer_object) {
  Manifest manifest;
  manifest.config_json = config_with_domains(model).to_json();
  manifest.tokenizer_object = tokenizer_object;
  for (const TrunkSlot& slot : trunk_slots(model)) {
    NamedParts parts;
    for (const auto& [name, tensor] : slot.tensors) parts.emplace_back(name, *tensor);
    manifest.parts.push_back({slot.name, put(registry, parts)});
  }
  for (const Domain& domain : model.domains) {
    for (const PrivatePart& part : domain.parts) {
      manifest.parts.push_back({std::string(kPrivatePrefix) + domain.name + "/" + part.name,
                                put(registry, {{"value", part.value}, {"rows", part.rows}})});
    }
  }
  for (Block& block : model.blocks) {
    LayerManifest layer;
    for (const Kind kind : {Kind::att, Kind::mlp}) {
      layer.router(kind) = put_router(registry, block.bank(kind));
      for (Module& module : block.bank(kind).modules) {
        if (module.uid.empty()) module.uid = random_uid();
        layer.modules(kind).push_back({module.uid, put_module(registry, module), module.frozen});
      }
    }
    manifest.layers.push_back(std::move(layer));
  }
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

std::string owner_of_part(const std::string& name) {
  if (!name.starts_with(kPrivatePrefix)) return "";
  return name.substr(kPrivatePrefix.size(), name.find('/') - kPrivatePrefix.size());
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
