#include "core/workspace/version_parameters.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "core/checkpoint/domain_config.h"
#include "core/checkpoint/eight_bits.h"
#include "core/checkpoint/tensor_io.h"
#include "core/formats/parameter_names.h"
#include "core/model/expert_parallel.h"
#include "core/model/outline.h"
#include "core/parallel/process_group.h"
#include "core/workspace/object_parts.h"
#include "core/workspace/version_tokenizer.h"
#include "modules_registry/error.h"

namespace mformer {
namespace {

constexpr const char* kSeeFsck = "mformer fsck says more";

bool fits(const at::Tensor& x, const ParameterShape& wanted) {
  const bool type = wanted.bits != 0                      ? x.scalar_type() == at::kByte
                    : wanted.codes                        ? x.scalar_type() == at::kChar
                    : wanted.role == ParameterRole::scale ? x.scalar_type() == at::kFloat
                                                          : x.is_floating_point();
  return type && x.sizes() == at::IntArrayRef(wanted.shape);
}

bool is_of_module(const ParameterShape& shape) {
  return shape.role == ParameterRole::map_in || shape.role == ParameterRole::map_out;
}

}  // namespace

VersionParameters::VersionParameters(const Registry& registry, const VersionRecord& version, Reading reading,
                                     ProcessGroup* spread_over)
    : registry_(registry),
      spread_over_(spread_over),
      outline_{version, registry.manifest(version.hash), {}, std::nullopt, version.model} {
  if (reading == Reading::all) check_ahead();
  begin_tokenizer();
  const std::string source = "the config of " + to_string(version);
  const ModelConfig config = ModelConfig::from_json(outline_.manifest.config_json, source);
  if (static_cast<std::int64_t>(outline_.manifest.layers.size()) != config.n_layer) {
    throw Error(to_string(version) + " has another number of layers than its config says", kSeeFsck);
  }
  for (ParameterShape& shape : parameter_shapes(config)) shapes_[shape.name] = shape;
  outline_.model = outline_model(config, at::kFloat);
  for (std::int64_t layer = 0; layer < config.n_layer; ++layer) {
    for (const Kind kind : {Kind::att, Kind::mlp}) find_bank(layer, kind);
  }
  find_trunk();
  dtype_ = dtype_of_numbers();
  convert(outline_.model, dtype_);
  take_domains(outline_.model, source);
  read_private_parts();
  require_views(outline_.model, "the objects of " + to_string(version));
  if (spread_over_ != nullptr) spread_modules(outline_.model, *spread_over_);
  if (reading == Reading::some) take_tokenizer();
}

void VersionParameters::begin_tokenizer() {
  if (outline_.manifest.tokenizer_object.empty()) return;
  const auto read = [file = registry_.objects().verified_path(outline_.manifest.tokenizer_object),
                     name = "the tokenizer of " + to_string(outline_.record)] {
    return Tokenizer::from_json(read_file(file), name);
  };
  tokenizer_ = std::async(std::launch::async | std::launch::deferred, read);  // later, where no thread can be had
}

void VersionParameters::take_tokenizer() {
  if (!tokenizer_.valid()) return;
  outline_.tokenizer = tokenizer_for(outline_.model.config, tokenizer_.get(), to_string(outline_.record));
}

at::ScalarType VersionParameters::dtype_of_numbers() {
  const bool blocks = outline_.model.config.block_bits() != 0;
  const std::string name = blocks ? std::string(names::kFinalNorm) + ".weight" : std::string(names::kEmbedding);
  const Place& place = places_.at(name);
  const TensorView* numbers = open(place.object).find(place.tensor);
  if (numbers == nullptr) refuse(name);
  const at::ScalarType type = scalar_type(numbers->dtype);
  if (!at::isFloatingType(type)) refuse(name);
  return type;
}

void VersionParameters::put(const std::string& parameter, const Place& place) {
  if (!shapes_.contains(parameter)) return;
  places_[parameter] = place;
  known_.emplace(place.object, place.tensor);
}

void VersionParameters::find_bank(std::int64_t layer, Kind kind) {
  const LayerManifest& manifest = outline_.manifest.layers[static_cast<std::size_t>(layer)];
  ModuleBank& bank = outline_.model.blocks[static_cast<std::size_t>(layer)].bank(kind);
  const auto& entries = manifest.modules(kind);
  if (entries.size() != bank.modules.size()) {
    throw Error("a layer of the version has another number of modules than its config says", kSeeFsck);
  }
  for (std::size_t i = 0; i < entries.size(); ++i) {
    bank.modules[i].uid = entries[i].uid;
    bank.modules[i].frozen = entries[i].frozen;
    const std::string name = names::module(layer, kind, static_cast<std::int64_t>(i));
    for (const char* tensor : kModuleTensors) put(name + "." + tensor, {entries[i].object_hash, tensor});
    put(name + ".row", {manifest.router(kind), "rows", static_cast<std::int64_t>(i), bank.size()});
  }
  for (const char* tensor : kRouterTensors) {
    put(names::bank(layer, kind) + ".router." + tensor, {manifest.router(kind), tensor});
  }
}

void VersionParameters::find_trunk() {
  const auto& parts = outline_.manifest.parts;
  for (const ParameterRef& ref : parameters(outline_.model)) {
    if (ref.part != ParameterRef::Part::trunk) continue;
    const PartOfTrunk where = part_of_trunk(ref.name);
    const auto part =
        std::find_if(parts.begin(), parts.end(), [&](const TrunkPart& p) { return p.name == where.part; });
    if (part == parts.end()) throw Error("the version lacks its part '" + where.part + "'", kSeeFsck);
    put(ref.name, {part->object_hash, where.tensor});
  }
}

void VersionParameters::read_private_parts() {
  std::vector<Domain>& domains = outline_.model.domains;
  for (const TrunkPart& part : outline_.manifest.parts) {
    const std::string owner = names::owner_of_part(part.name);
    if (owner.empty()) continue;
    const std::size_t slash = part.name.find('/');
    const auto domain = std::find_if(domains.begin(), domains.end(), [&](const Domain& d) { return d.name == owner; });
    for (const char* tensor : {"value", "rows"}) known_.emplace(part.object_hash, tensor);
    const std::string parameter = slash == std::string::npos ? "" : part.name.substr(slash + 1);
    const at::Tensor value = private_value(part.object_hash, parameter);
    if (domain == domains.end() || slash == std::string::npos || !value.defined()) {
      throw Error(file_->source() + " is no private part of a domain", kSeeFsck);
    }
    domain->parts.push_back({parameter, take(part.object_hash, "rows"), value});
  }
}

at::Tensor VersionParameters::private_value(const std::string& object, const std::string& parameter) {
  const at::Tensor stored = take(object, "value");
  const auto shape = shapes_.find(parameter);
  return shape == shapes_.end() ? stored : from_eight_bits(stored, shape->second, dtype_);
}

const SafetensorsFile& VersionParameters::open(const std::string& object) {
  if (opened_ == object && file_) return *file_;
  file_ = SafetensorsFile::open(registry_.objects().verified_path(object));
  opened_ = object;
  for (const TensorView& tensor : file_->tensors()) {
    if (!known_.contains({object, tensor.name})) refuse(object + "/" + tensor.name);
  }
  return *file_;
}

at::Tensor VersionParameters::take(const std::string& object, const std::string& tensor) {
  const TensorView* view = open(object).find(tensor);
  return view == nullptr ? at::Tensor() : to_tensor(*view);
}

at::Tensor VersionParameters::read_row(const Place& place) {
  if (rows_of_ != place.object) rows_ = take(place.object, place.tensor), rows_of_ = place.object;
  if (!rows_.defined() || rows_.dim() == 0 || rows_.size(0) != place.rows) {
    throw Error(open(place.object).source() + " does not have a row for each module", kSeeFsck);
  }
  return rows_.select(0, place.row).clone();
}

void VersionParameters::check_ahead() {
  std::vector<std::string> objects;
  for (const TrunkPart& part : outline_.manifest.parts) objects.push_back(part.object_hash);
  for (const LayerManifest& layer : outline_.manifest.layers) {
    for (const Kind kind : {Kind::att, Kind::mlp}) {
      if (!layer.router(kind).empty()) objects.push_back(layer.router(kind));
      for (std::size_t i = 0; i < layer.modules(kind).size(); ++i) {
        if (is_read(layer, kind, i)) objects.push_back(layer.modules(kind)[i].object_hash);
      }
    }
  }
  registry_.objects().verify_ahead(objects);
  checks_ahead_ = true;
}

bool VersionParameters::is_read(const LayerManifest& layer, Kind kind, std::size_t module) const {
  if (spread_over_ == nullptr || layer.router(kind).empty()) return true;
  const auto modules = static_cast<std::int64_t>(layer.modules(kind).size());
  return rank_of_module(static_cast<std::int64_t>(module), modules, spread_over_->size()) == spread_over_->rank();
}

at::Tensor VersionParameters::operator()(const std::string& name) {
  if (!checks_ahead_) check_ahead();
  const auto found = places_.find(name);
  if (found == places_.end()) return {};
  const Place& place = found->second;
  at::Tensor tensor = place.row >= 0 ? read_row(place) : take(place.object, place.tensor);
  if (!tensor.defined()) throw Error(file_->source() + " has no " + place.tensor, kSeeFsck);
  const ParameterShape& shape = shapes_.at(name);
  if (is_of_module(shape)) tensor = from_eight_bits(tensor, shape, dtype_);
  if (!fits(tensor, shape)) refuse(name);
  return tensor;
}

void VersionParameters::refuse(const std::string& what) const {
  throw Error("the objects of " + to_string(outline_.record) + " do not fit its config: '" + what + "'", kSeeFsck);
}

LoadedVersion load_version(const Registry& registry, const VersionRecord& version, ProcessGroup* spread_over) {
  VersionParameters parameters(registry, version, VersionParameters::Reading::all, spread_over);
  LoadedVersion loaded = parameters.outline();
  Model& model = loaded.model;
  for_each_parameter(model, [&](const ParameterRef& ref) {
    if (ref.part != ParameterRef::Part::domain && !is_elsewhere(model, ref)) *ref.tensor = parameters(ref.name);
  });
  if (model.config.tie_word_embeddings) model.lm_head = model.wte;
  parameters.take_tokenizer();
  loaded.tokenizer = parameters.outline().tokenizer;
  return loaded;
}

}  // namespace mformer
