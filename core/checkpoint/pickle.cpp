#include "core/checkpoint/pickle.h"

#include <torch/csrc/jit/serialization/pickle.h>

#include "modules_registry/error.h"
#include "modules_registry/files.h"

namespace mformer {

std::map<std::string, at::Tensor> read_pickled_tensors(const std::filesystem::path& path) {
  const char* hint = "convert it to model.safetensors with the safetensors Python package, and import that";
  const std::string bytes = read_file(path);
  at::IValue value;
  try {
    value = torch::jit::pickle_load({bytes.begin(), bytes.end()});
  } catch (const std::exception&) {
    throw Error(path.string() + " is not a state dict that can be read safely", hint);
  }
  if (!value.isGenericDict()) throw Error(path.string() + " holds something other than a state dict", hint);
  std::map<std::string, at::Tensor> tensors;
  for (const auto& entry : value.toGenericDict()) {
    if (!entry.key().isString() || !entry.value().isTensor()) {
      throw Error(path.string() + " holds something other than named tensors", hint);
    }
    tensors.emplace(entry.key().toStringRef(), entry.value().toTensor());
  }
  return tensors;
}

}  // namespace mformer
