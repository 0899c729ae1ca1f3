#pragma once

#include <string>

#include "kernels/activation.h"

namespace mformer {

/// The activation of this name in a config (transformers' names). Throws Error for any other.
kernels::Activation activation_of(const std::string& name);

}  // namespace mformer
