#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/formats/tensor_info.h"

namespace mformer {

/// A tensor as a pickled state dict describes it: a view of a storage. Nothing is checked but the types.
struct PickledTensor : TensorInfo {
  std::string storage;                ///< Key of the storage in the archive.
  std::int64_t stored = 0;            ///< Elements that the storage is said to have.
  std::int64_t offset = 0;            ///< First element in the storage.
  std::vector<std::int64_t> strides;  ///< In elements; one per dimension, where elements_spanned() knows a span.
};

/// What the program `data.pkl` of `torch.save(model.state_dict())` builds: a dict or OrderedDict of named tensors, in
/// its order. A pickle is a program that may call anything; this reader follows only the instructions that such a dict
/// needs (pickle protocol 2), knows the names `collections.OrderedDict`, `torch._utils._rebuild_tensor_v2`,
/// `torch._utils._rebuild_parameter` and `torch.*Storage`, which stand for data here and are never looked up, and
/// refuses everything else. Its memory and time are linear in the program's length.
///
/// Throws Error, naming `source`, for whatever is no such program, and when a name appears twice.
std::vector<PickledTensor> read_state_dict_program(std::string_view program, const std::string& source);

}  // namespace mformer
