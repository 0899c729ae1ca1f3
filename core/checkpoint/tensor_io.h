#pragma once

#include <ATen/core/Tensor.h>

#include <string>

#include "core/formats/safetensors.h"
#include "core/formats/torch_file.h"

namespace mformer {

/// The same element type in the other vocabulary. Throws Error for one that checkpoint files can't hold.
at::ScalarType scalar_type(DType dtype);
DType dtype_of(at::ScalarType type);

/// A tensor of its own (the file may be closed, and may be misaligned).
at::Tensor to_tensor(const TensorView& view);

/// The tensor of a pickled state dict, contiguous. Only its own bytes are read. Throws Error when it repeats elements
/// of its storage (an expanded tensor), which no weight does, and when the file was cut meanwhile.
at::Tensor to_tensor(const TorchFile& file, const PickledTensor& tensor);

/// Borrows the bytes of `tensor`, which must be contiguous, on the CPU, and outlive the result.
TensorToWrite to_write(const std::string& name, const at::Tensor& tensor);

}  // namespace mformer
