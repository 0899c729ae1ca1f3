#include "core/checkpoint/hub_domains.h"

#include <algorithm>

#include "core/checkpoint/domain_config.h"
#include "core/checkpoint/hub_model.h"
#include "core/checkpoint/tensor_io.h"
#include "core/formats/quoted_name.h"
#include "modules_registry/error.h"

namespace mformer {
namespace {

constexpr const char* kRowsSuffix = ".rows_replaced";

}  // namespace

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

}  // namespace mformer
