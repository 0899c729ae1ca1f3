#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/formats/dtype.h"

namespace mformer {

/// What a weight file says about one of its tensors, whatever the format.
struct TensorInfo {
  std::string name;
  DType dtype = DType::F32;
  std::vector<std::int64_t> shape;  ///< [] is a scalar; a dimension may be 0.
};

}  // namespace mformer
