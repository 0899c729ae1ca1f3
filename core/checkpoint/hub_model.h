#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "core/formats/hub_folder.h"
#include "core/model/model.h"

namespace mformer {

/// A tensor under the reference's name.
struct NamedTensor {
  std::string name;
  at::Tensor tensor;
};

/// Borrows all of them, as to_write() of tensor_io.h does one.
std::vector<TensorToWrite> to_write(const std::vector<NamedTensor>& tensors);

/// One tensor of a hub checkpoint and what it is made of here: a single parameter, or one piece per module, stacked.
struct HubTensor {
  std::string name;                 ///< e.g. "transformer.h.0.mlpf.experts.weight"
  std::vector<at::Tensor*> pieces;  ///< Parameters of the Model it was made for.
  bool stacked = false;
  bool scale = false;  ///< Of int8 modules: float32 whatever the model's dtype.
};

/// The reference's names (docs/checkpoints.md) for every parameter of `model`, in its order. The one table that maps
/// our parameters to published ones.
std::vector<HubTensor> hub_tensors(Model& model);

/// The checkpoint's weights, in the dtype of the file (the widest, where they differ; int8
/// modules and their scales stay what they are). One tensor of the file at a time is in memory beside the model.
/// Throws Error when a tensor is missing, unknown or misshapen, and when a tied head is stored and is another tensor
/// than the embedding.
Model load_hub_model(const HubFolder& folder);

/// All parameters as the reference stores them (modules stacked).
std::vector<NamedTensor> to_hub_tensors(const Model& model);

/// Writes a folder that the reference can load as it is if counts are equal in all layers and the modules are not int8.
/// config.torch_dtype follows the weights. A model with domains has the field "mformer_domains" in config.json and
/// their private parts in mformer_domains.safetensors beside the weights; the reference would take all modules for one
/// model: write one of the views for it. Throws as write_hub_folder.
void save_hub_model(const std::filesystem::path& folder, const Model& model, const HubWriteOptions& options);

}  // namespace mformer
