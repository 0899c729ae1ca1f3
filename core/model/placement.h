#pragma once

#include <ATen/core/Tensor.h>

#include <functional>

#include "core/model/model.h"

namespace mformer {

/// A model lives on one device: that of its embedding. Versions are read, compared and stored on the CPU; what computes
/// takes a copy to the device. Token ids, targets and masks may stay on the CPU: forward() and the losses move them.
at::Device device_of(const Model& model);

/// The model on `device`: itself where it lies there, else copies of all tensors, without gradients. Of a model
/// prepared for inference, which the CPU alone can run, itself. bfloat16 maps of a bank's modules lie side by side
/// there (kernels/stacked_weights.h), so that their products need no second copy.
Model on_device(const Model& model, at::Device device);

/// Turns the matrices of products into bfloat16 and sets Model::bfloat16_matrices: maps of modules and shared experts,
/// key and value projections, and the head unless it is tied to the embedding. Norms, routers and the embedding keep
/// their dtype, so routing and the residual stream are as exact as before; with ForwardOptions::bfloat16 the factors of
/// products are the same bits as from float32 matrices, which it rounds each time (biases of bfloat16 matrices are
/// rounded when they are added). Matrices for which `kept` is true, those to be trained, stay. New tensors: other
/// models that share the old ones keep them. Quantised modules stay.
void make_matrices_bfloat16(Model& model, const std::function<bool(const ParameterRef&)>& kept = {});

/// Whether make_matrices_bfloat16() is about this parameter.
bool is_product_matrix(const ParameterRef& ref);

}  // namespace mformer
