#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "core/formats/dtype.h"

/// What the program of a pickled state dict builds while it is followed (state_dict_program.h). Values refer to each
/// other by number and texts lie in the program, so that none is larger than the instructions that made it.
namespace mformer::pickle {

/// A value by its place in the list of all.
using Number = std::uint32_t;

/// What can be called: each stands for data.
enum class Callable { ordered_dict, rebuild_tensor, rebuild_parameter };

using Tuple = std::vector<Number>;

/// Keys and values in the order in which they were set; the same key may come twice.
struct Dict {
  std::vector<std::pair<Number, Number>> items;
};

struct Storage {
  DType dtype = DType::F32;
  std::string_view key;
  std::int64_t elements = 0;
};

struct Tensor {
  Storage storage;
  std::int64_t offset = 0;
  std::vector<std::int64_t> shape, strides;
};

/// A DType stands for the class of storages of that type.
using Value = std::variant<bool, std::int64_t, std::string_view, Callable, DType, Tuple, Dict, Storage, Tensor>;

/// The element type of `torch.<name>`, a class of storages ("FloatStorage"); nothing for another name.
std::optional<DType> storage_dtype(std::string_view name);

}  // namespace mformer::pickle
