#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "core/checkpoint/hub_folder.h"
#include "core/checkpoint/stored_pieces.h"
#include "core/families/family.h"
#include "core/model/model.h"

namespace mformer {

/// A tensor under the reference's name.
struct NamedTensor {
  std::string name;
  at::Tensor tensor;
};

/// Borrows all of them, as to_write() of tensor_io.h does one.
std::vector<TensorToWrite> to_write(const std::vector<NamedTensor>& tensors);

/// The tensors of a checkpoint in this layout, made by `parameter` (of gradients, say), one after the other.
std::vector<NamedTensor> hub_tensors(const ModelConfig& config, const Family& layout, const ByParameter& parameter);

/// Parameters by their own names; undefined tensors for other names. Shares the tensors.
ByParameter parameters_of(const Model& model);

/// The checkpoint's weights, in the dtype of the file (the widest, where they differ; int8
/// modules and their scales stay what they are). One parameter at a time is in memory beside the model
/// (hub_parameters.h). Throws Error when a tensor is missing, unknown or misshapen, and when a tied head is stored and
/// is another tensor than the embedding.
Model load_hub_model(const HubFolder& folder);

/// All parameters as the model's family stores them, or as `layout` does.
std::vector<NamedTensor> to_hub_tensors(const Model& model);
std::vector<NamedTensor> to_hub_tensors(const Model& model, const Family& layout);

/// Throws Error, saying why, where the model's family has no such checkpoints; mformer's own layout holds any model.
void require_writable(const Model& model, bool native);

/// Writes a folder. In the layout of the model's family, readers of the family can load it: a ModuleFormer if counts
/// are equal in all layers and the modules are not int8; of other families it is that or an Error. With
/// `options.native` any model is written, in mformer's own layout. config.torch_dtype follows the weights. A model with
/// domains has the field "mformer_domains" in config.json and their private parts in mformer_domains.safetensors beside
/// the weights; the reference would take all modules for one model: write one of the views for it. Throws as
/// write_hub_folder.
void save_hub_model(const std::filesystem::path& folder, const Model& model, const HubWriteOptions& options);

/// The same of a model that need not be in memory: `outline` has the shapes and types (outline_model())
/// and the private parts of the domains, `parameter` makes the weights, one by one, in another type too.
void save_hub_model(const std::filesystem::path& folder, const Model& outline, const ByParameter& parameter,
                    const HubWriteOptions& options);

}  // namespace mformer
