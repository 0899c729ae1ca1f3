#include "core/checkpoint/hub_model.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/stack.h>
#include <c10/core/ScalarType.h>

#include <algorithm>
#include <functional>

#include "core/checkpoint/domain_config.h"
#include "core/checkpoint/tensor_io.h"
#include "core/formats/parameter_layout.h"
#include "core/formats/quoted_name.h"
#include "modules_registry/error.h"

namespace mformer {
namespace {

using Find = std::function<at::Tensor(const std::string&)>;

/// Names below one bank: the reference keeps an attention bank in `attn.q_proj`, a feed-forward bank in `mlpf`.
std::string bank_prefix(const std::string& block, Kind kind) {
  return block + (kind == Kind::att ? ".attn.q_proj" : ".mlpf");
}

void add_affine(std::vector<HubTensor>& all, const std::string& name, Affine& affine) {
  if (affine.weight.defined()) all.push_back({name + ".weight", {&affine.weight}});
  if (affine.bias.defined()) all.push_back({name + ".bias", {&affine.bias}});
}

/// The matrix `matrix` of every module and, where the modules are int8, its scales.
void add_matrices(std::vector<HubTensor>& all, const std::string& name, bool quantized, ModuleBank& bank,
                  at::Tensor Module::*matrix, at::Tensor Module::*scale) {
  HubTensor weights{name, {}, true}, scales{name + "_scale", {}, true, true};
  for (Module& module : bank.modules) {
    weights.pieces.push_back(&(module.*matrix));
    scales.pieces.push_back(&(module.*scale));
  }
  all.push_back(std::move(weights));
  if (quantized) all.push_back(std::move(scales));
}

void add_bank(std::vector<HubTensor>& all, const std::string& prefix, const ModelConfig& config, ModuleBank& bank) {
  const std::string& gate_type = config.gate_type;
  const bool quantized = config.is_quantized();
  add_matrices(all, prefix + ".experts.weight", quantized, bank, &Module::in, &Module::in_scale);
  add_matrices(all, prefix + ".output_experts.weight", quantized, bank, &Module::out, &Module::out_scale);
  const std::string gate = prefix + ".gate";
  const char* row_name = gate_type == "gmm"   ? ".expert_centroids"
                         : gate_type == "mlp" ? ".w_gate.3.weight"
                                              : ".w_gate.0.weight";
  HubTensor rows{gate + row_name, {}, true};
  for (Module& module : bank.modules) rows.pieces.push_back(&module.row);
  if (gate_type == "gmm") {
    all.push_back({gate + ".w_gate.weight", {&bank.router.weight}});
    all.push_back({gate + ".temperature", {&bank.router.temperature}});
  } else if (gate_type == "mlp") {
    all.push_back({gate + ".w_gate.0.weight", {&bank.router.weight}});
    all.push_back({gate + ".w_gate.0.bias", {&bank.router.bias}});
  }
  all.push_back(std::move(rows));
}

/// A model of the config's geometry with empty tensors: what hub_tensors() needs to name the pieces.
Model empty_model(const ModelConfig& config) {
  Model model;
  model.config = config;
  const at::Tensor some = at::empty({0});
  const auto make_bank = [&](Kind kind, std::int64_t k, std::int64_t count) {
    ModuleBank bank{kind, k, {}, std::vector<Module>(count)};
    if (config.gate_type != "linear") bank.router.weight = some;
    if (config.gate_type == "mlp") bank.router.bias = some;
    if (config.gate_type == "gmm") bank.router.temperature = some;
    return bank;
  };
  for (std::int64_t l = 0; l < config.n_layer; ++l) {
    Block block;
    block.ln_1 = block.ln_2 = {some, some};
    if (config.has_kv_projection()) block.k_proj = block.v_proj = {some, some};
    block.att = make_bank(Kind::att, config.k_att, config.n_att(l));
    block.mlp = make_bank(Kind::mlp, config.k_mlp, config.n_mlp(l));
    model.blocks.push_back(std::move(block));
  }
  model.ln_f = {some, some};
  return model;
}

at::Tensor read_tensor(const HubFolder& folder, const std::string& name) {
  const HubFolder::StoredPickle pickled = folder.find_pickled(name);
  return pickled.tensor != nullptr ? to_tensor(*pickled.file, *pickled.tensor) : to_tensor(folder.get(name));
}

/// Where embedding and head are one, two stored tensors that differ leave open which is meant.
void require_equal_when_tied(const HubFolder& folder) {
  const std::string embedding = "transformer.wte.weight", head = "lm_head.weight";
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

Model fill(const ModelConfig& config, const Find& find) {
  Model model = empty_model(config);
  at::ScalarType widest = at::kHalf;
  bool first = true;
  for (HubTensor& entry : hub_tensors(model)) {
    const at::Tensor whole = find(entry.name);
    if (whole.is_floating_point() && !entry.scale) {
      widest = first ? whole.scalar_type() : c10::promoteTypes(widest, whole.scalar_type());
      first = false;
    }
    for (std::size_t i = 0; i < entry.pieces.size(); ++i) {
      *entry.pieces[i] = entry.stacked ? whole.select(0, static_cast<std::int64_t>(i)).clone() : whole;
    }
  }
  convert(model, widest);
  return model;
}

/// Private parts of the domains: "german/ln_f.weight" and, of vocabulary rows, their numbers in "german/wte.rows".
constexpr const char* kDomainsFile = "mformer_domains.safetensors";
constexpr const char* kRowsSuffix = ".rows_replaced";

std::string domains_file(const Model& model) {
  std::vector<NamedTensor> tensors;
  for (const Domain& domain : model.domains) {
    for (const PrivatePart& part : domain.parts) {
      const std::string name = domain.name + "/" + part.name;
      tensors.push_back({name, part.value.detach().contiguous()});
      if (part.rows.defined()) tensors.push_back({name + kRowsSuffix, part.rows.contiguous()});
    }
  }
  const auto bytes = serialize_safetensors(to_write(tensors));
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

void read_domains(Model& model, const HubFolder& folder) {
  take_domains(model, folder.path().string() + "/config.json");
  if (model.domains.empty()) return;
  const SafetensorsFile file = SafetensorsFile::open(folder.path() / kDomainsFile);
  for (const TensorView& view : file.tensors()) {
    const std::string name(view.name);
    if (name.ends_with(kRowsSuffix)) {
      if (file.find(name.substr(0, name.size() - std::string_view(kRowsSuffix).size())) != nullptr) continue;
      throw Error(file.source() + ": the rows " + quoted_name(name) + " belong to no tensor of the file");
    }
    const std::size_t slash = name.find('/');
    const auto domain = std::find_if(model.domains.begin(), model.domains.end(),
                                     [&](const Domain& d) { return d.name == name.substr(0, slash); });
    if (slash == std::string::npos || domain == model.domains.end()) {
      throw Error(file.source() + ": the tensor " + quoted_name(name) + " belongs to no domain of config.json");
    }
    const TensorView* rows = file.find(name + kRowsSuffix);
    domain->parts.push_back(
        {name.substr(slash + 1), rows == nullptr ? at::Tensor() : to_tensor(*rows), to_tensor(view)});
  }
  require_views(model, file.source());
}

const char* dtype_text(at::ScalarType type) {
  return type == at::kBFloat16 ? "bfloat16" : type == at::kHalf ? "float16" : "float32";
}

}  // namespace

std::vector<TensorToWrite> to_write(const std::vector<NamedTensor>& tensors) {
  std::vector<TensorToWrite> borrowed;
  borrowed.reserve(tensors.size());
  for (const NamedTensor& entry : tensors) borrowed.push_back(to_write(entry.name, entry.tensor));
  return borrowed;
}

std::vector<HubTensor> hub_tensors(Model& model) {
  std::vector<HubTensor> all;
  all.push_back({"transformer.wte.weight", {&model.wte}});
  for (std::size_t l = 0; l < model.blocks.size(); ++l) {
    Block& block = model.blocks[l];
    const std::string name = "transformer.h." + std::to_string(l);
    add_affine(all, name + ".ln_1", block.ln_1);
    add_bank(all, bank_prefix(name, Kind::att), model.config, block.att);
    add_affine(all, name + ".attn.k_proj", block.k_proj);
    add_affine(all, name + ".attn.v_proj", block.v_proj);
    add_affine(all, name + ".ln_2", block.ln_2);
    add_bank(all, bank_prefix(name, Kind::mlp), model.config, block.mlp);
  }
  add_affine(all, "transformer.ln_f", model.ln_f);
  if (!model.config.tie_word_embeddings) all.push_back({"lm_head.weight", {&model.lm_head}});
  return all;
}

Model load_hub_model(const HubFolder& folder) {
  const bool pickled = !folder.files().pickles.empty();
  if (pickled && folder.config().is_quantized()) {
    throw Error(folder.path().string() + ": int8 modules in pickled weights", "int8 is read from safetensors only");
  }
  check_parameters(folder);
  require_equal_when_tied(folder);
  Model model = fill(folder.config(), [&](const std::string& name) { return read_tensor(folder, name); });
  read_domains(model, folder);
  return model;
}

std::vector<NamedTensor> to_hub_tensors(const Model& model) {
  Model handles = model;
  std::vector<NamedTensor> result;
  for (const HubTensor& entry : hub_tensors(handles)) {
    std::vector<at::Tensor> pieces;
    for (const at::Tensor* piece : entry.pieces) pieces.push_back(piece->detach());
    result.push_back({entry.name, entry.stacked ? at::stack(pieces) : pieces[0].contiguous()});
  }
  return result;
}

void save_hub_model(const std::filesystem::path& folder, const Model& model, const HubWriteOptions& options) {
  const std::vector<NamedTensor> tensors = to_hub_tensors(model);
  ModelConfig config = config_with_domains(model);
  config.torch_dtype = dtype_text(model.wte.scalar_type());
  HubWriteOptions how = options;
  if (!model.domains.empty()) how.extra_files[kDomainsFile] = domains_file(model);
  write_hub_folder(folder, config, to_write(tensors), how);
}

}  // namespace mformer
