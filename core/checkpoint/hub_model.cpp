#include "core/checkpoint/hub_model.h"

#include <map>

#include "core/checkpoint/domain_config.h"
#include "core/checkpoint/hub_domains.h"
#include "core/checkpoint/hub_parameters.h"
#include "core/checkpoint/tensor_io.h"
#include "core/formats/quoted_name.h"
#include "modules_registry/error.h"

namespace mformer {
namespace {

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

/// A stored tensor has the type of its first parameter.
std::vector<TensorInfo> infos_of(const std::vector<StoredTensor>& all, const ByParameter& outline) {
  std::vector<TensorInfo> infos;
  for (const StoredTensor& stored : all) {
    const at::Tensor first = stored.pieces.empty() ? at::Tensor() : outline(stored.pieces.front().parameter);
    if (!first.defined()) throw Error("the model has nothing to write as " + quoted_name(stored.name));
    infos.push_back({stored.name, dtype_of(first.scalar_type()), stored.shape});
  }
  return infos;
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
  HubParameters parameters(folder);
  Model model = parameters.outline();
  for_each_parameter(model, [&](const ParameterRef& ref) {
    if (ref.part != ParameterRef::Part::domain) *ref.tensor = parameters(ref.name);
  });
  if (model.config.tie_word_embeddings) model.lm_head = model.wte;
  return model;
}

std::vector<NamedTensor> to_hub_tensors(const Model& model) {
  return to_hub_tensors(model, family_of(model.config));
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
  save_hub_model(folder, model, parameters_of(model), options);
}

void save_hub_model(const std::filesystem::path& folder, const Model& outline, const ByParameter& parameter,
                    const HubWriteOptions& options) {
  require_writable(outline, options.native);  // before much is done
  const Family& layout = layout_to_write(outline, options.native);
  ModelConfig config = config_with_domains(outline);
  config.torch_dtype = dtype_text(outline.ln_f.weight.scalar_type());
  HubWriteOptions how = options;
  if (!outline.domains.empty()) how.extra_files[kDomainsFile] = domains_file(outline);
  const std::vector<StoredTensor> all = layout.tensors(outline.config);
  const std::vector<TensorInfo> infos = infos_of(all, parameters_of(outline));
  const auto write = [&](std::size_t i, const ByteSink& sink) {
    assemble_in_order(all[i], parameter, scalar_type(infos[i].dtype),
                      [&](const at::Tensor& part) { sink(to_write(all[i].name, part).data); });
  };
  write_hub_folder(folder, config, infos, write, how);
}

}  // namespace mformer
