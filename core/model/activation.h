#pragma once

#include "core/formats/choices.h"
#include "kernels/activation.h"

namespace mformer {

/// The kernel of a config's activation.
kernels::Activation activation_of(ActivationFunction function);

}  // namespace mformer
