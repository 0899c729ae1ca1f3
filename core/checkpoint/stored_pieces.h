#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <string>

#include "core/families/family.h"

namespace mformer {

/// A parameter, or what belongs to one (its gradient, say), by its own name.
using ByParameter = std::function<at::Tensor(const std::string&)>;

/// The stored tensor that these parameters make. Shares memory with the parameter where it is one, as it is.
at::Tensor assemble(const StoredTensor& stored, const ByParameter& parameter);

/// The reverse: copies what the tensor holds into the parameters, whose dtype may be another.
void take_apart(const StoredTensor& stored, const at::Tensor& whole, const ByParameter& parameter);

/// Whether the tensor is one whole parameter, as it is.
bool is_one_parameter(const StoredTensor& stored);

}  // namespace mformer
