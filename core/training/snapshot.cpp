#include "core/training/snapshot.h"

#include <map>

#include "core/checkpoint/tensor_io.h"
#include "modules_registry/error.h"

namespace mformer {
namespace {

std::filesystem::path file_in(const std::filesystem::path& folder) {
  return folder / "snapshot.safetensors";
}

/// Handles, on whatever device they are.
std::vector<std::pair<std::string, at::Tensor>> all_tensors(const AdamW& optimizer) {
  auto tensors = optimizer.state();
  for (const TrainedParameter& parameter : optimizer.parameters()) {
    tensors.emplace_back(parameter.name, parameter.tensor.detach());
  }
  return tensors;
}

}  // namespace

void save_snapshot(const std::filesystem::path& folder, const AdamW& optimizer) {
  std::vector<TensorToWrite> to_be_written;
  auto tensors = all_tensors(optimizer);
  for (auto& [name, tensor] : tensors) tensor = tensor.cpu();
  to_be_written.reserve(tensors.size());
  for (const auto& [name, tensor] : tensors) to_be_written.push_back(to_write(name, tensor));
  write_safetensors(file_in(folder), to_be_written, {{"steps", std::to_string(optimizer.steps())}});
}

std::optional<std::int64_t> load_snapshot(const std::filesystem::path& folder, AdamW& optimizer) {
  if (!std::filesystem::exists(file_in(folder))) return std::nullopt;
  const SafetensorsFile file = SafetensorsFile::open(file_in(folder));
  const auto tensors = all_tensors(optimizer);
  const auto steps = file.metadata().find("steps");
  if (steps == file.metadata().end() || file.tensors().size() != tensors.size()) {
    throw Error("the snapshot " + file.source() + " belongs to another run", "begin anew with --restart");
  }
  for (const auto& [name, tensor] : tensors) {
    const at::Tensor saved = to_tensor(file.get(name));
    if (saved.sizes() != tensor.sizes() || saved.scalar_type() != tensor.scalar_type()) {
      throw Error("the snapshot " + file.source() + " does not fit this run: '" + name + "' differs",
                  "begin anew with --restart");
    }
    at::Tensor target = tensor;
    target.copy_(saved);
  }
  optimizer.set_steps(std::stoll(steps->second));
  return optimizer.steps();
}

}  // namespace mformer
