#include "core/checkpoint/hub_model.h"

#include <c10/core/ScalarType.h>

#include <algorithm>
#include <map>

#include "core/checkpoint/domain_config.h"
#include "core/checkpoint/hub_domains.h"
#include "core/checkpoint/parameter_layout.h"
#include "core/checkpoint/tensor_io.h"
#include "modules_registry/error.h"

namespace mformer {
namespace {

at::Tensor read_tensor(const HubFolder& folder, const std::string& name) {
  const HubFolder::StoredPickle pickled = folder.find_pickled(name);
  return pickled.tensor != nullptr ? to_tensor(*pickled.file, *pickled.tensor) : to_tensor(folder.get(name));
}

/// Where embedding and head are one, two stored tensors that differ leave open which is meant.
void require_equal_when_tied(const HubFolder& folder) {
  const std::string embedding(folder.layout().embedding), head(folder.layout().head);
  const auto& names = folder.tensor_names();
  const auto is_stored = [&](const std::string& name) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  if (!folder.config().tie_word_embeddings || !is_stored(embedding) || !is_stored(head)) return;
  const at::Tensor one = read_tensor(folder, embedding), other = read_tensor(folder, head);
  if (one.sizes() == other.sizes() && one.eq(other).logical_or(one.ne(one)).all().item<bool>()) return;
  throw Error(folder.path().string() + ": '" + embedding + "' and '" + head +
                  "' differ, though config.json says that they are one",
              "if the head is its own, write \"tie_word_embeddings\": false in config.json; else take the one that is "
              "not meant out of the weights");
}

/// The widest of the stored tensors; int8 codes and their scales do not count.
at::ScalarType widest_dtype(const HubFolder& folder, const std::vector<StoredTensor>& stored) {
  std::optional<at::ScalarType> widest;
  for (const StoredTensor& tensor : stored) {
    if (tensor.type != StoredTensor::Type::floating) continue;
    const at::ScalarType one = scalar_type(folder.info(tensor.name)->dtype);
    widest = widest.has_value() ? c10::promoteTypes(*widest, one) : one;
  }
  return widest.value_or(at::kFloat);
}

std::map<std::string, at::Tensor*> places_of(Model& model) {
  std::map<std::string, at::Tensor*> places;
  for_each_parameter(model, [&](const ParameterRef& ref) { places[ref.name] = ref.tensor; });
  return places;
}

Model read_weights(const HubFolder& folder) {
  const std::vector<StoredTensor> all = folder.layout().tensors(folder.config());
  Model model = allocate_model(folder.config(), widest_dtype(folder, all));
  const std::map<std::string, at::Tensor*> places = places_of(model);
  for (const StoredTensor& stored : all) {
    const at::Tensor whole = read_tensor(folder, stored.name);
    if (is_one_parameter(stored)) {
      at::Tensor& place = *places.at(stored.pieces.front().parameter);
      place = whole.to(place.scalar_type());
    } else {
      take_apart(stored, whole, [&](const std::string& name) { return *places.at(name); });
    }
  }
  if (model.config.tie_word_embeddings) model.lm_head = model.wte;
  return model;
}

const char* dtype_text(at::ScalarType type) {
  return type == at::kBFloat16 ? "bfloat16" : type == at::kHalf ? "float16" : "float32";
}

const Family& layout_to_write(const Model& model, bool native) {
  return family_of(native ? "mformer" : model.config.family, "the model's config");
}

/// Other families know neither domains nor what hides a module from one.
void refuse_domains(const Model& model, const Family& layout) {
  if (model.domains.empty() || layout.write == nullptr) return;
  throw Error("a " + model.config.family + " checkpoint can't hold the domains of this model",
              "write one of them with --domain NAME (base: --domain base), or all with --for transformers");
}

}  // namespace

std::vector<TensorToWrite> to_write(const std::vector<NamedTensor>& tensors) {
  std::vector<TensorToWrite> borrowed;
  borrowed.reserve(tensors.size());
  for (const NamedTensor& entry : tensors) borrowed.push_back(to_write(entry.name, entry.tensor));
  return borrowed;
}

std::vector<NamedTensor> hub_tensors(const ModelConfig& config, const Family& layout, const ByParameter& parameter) {
  std::vector<NamedTensor> all;
  for (const StoredTensor& stored : layout.tensors(config)) all.push_back({stored.name, assemble(stored, parameter)});
  return all;
}

ByParameter parameters_of(const Model& model) {
  Model handles = model;
  std::map<std::string, at::Tensor> by_name;
  for_each_parameter(handles, [&](const ParameterRef& ref) { by_name[ref.name] = *ref.tensor; });
  return [by_name = std::move(by_name)](const std::string& name) {
    const auto found = by_name.find(name);
    return found == by_name.end() ? at::Tensor() : found->second.detach();
  };
}

Model load_hub_model(const HubFolder& folder) {
  const bool pickled = !folder.files().pickles.empty();
  if (pickled && folder.config().is_quantized()) {
    throw Error(folder.path().string() + ": int8 modules in pickled weights", "int8 is read from safetensors only");
  }
  check_parameters(folder);
  require_equal_when_tied(folder);
  Model model = read_weights(folder);
  read_domains(model, folder);
  return model;
}

std::vector<NamedTensor> to_hub_tensors(const Model& model) {
  return to_hub_tensors(model, family_of(model.config.family, "the model's config"));
}

std::vector<NamedTensor> to_hub_tensors(const Model& model, const Family& layout) {
  std::vector<NamedTensor> all = hub_tensors(model.config, layout, parameters_of(model));
  for (NamedTensor& entry : all) entry.tensor = entry.tensor.contiguous();
  return all;
}

void require_writable(const Model& model, bool native) {
  refuse_domains(model, layout_to_write(model, native));
  if (!native) hub_config_json(model.config);
}

void save_hub_model(const std::filesystem::path& folder, const Model& model, const HubWriteOptions& options) {
  require_writable(model, options.native);  // before much is done
  const Family& layout = layout_to_write(model, options.native);
  ModelConfig config = config_with_domains(model);
  config.torch_dtype = dtype_text(model.wte.scalar_type());
  const std::vector<NamedTensor> tensors = to_hub_tensors(model, layout);
  HubWriteOptions how = options;
  if (!model.domains.empty()) how.extra_files[kDomainsFile] = domains_file(model);
  write_hub_folder(folder, config, to_write(tensors), how);
}

}  // namespace mformer
