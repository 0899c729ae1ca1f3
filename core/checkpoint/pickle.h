#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <map>
#include <string>

namespace mformer {

/// The tensors of a `pytorch_model.bin` (a plain dict of tensors written by torch.save in the zip format, PyTorch
/// ≥ 1.6) through LibTorch's unpickler: it knows tensors and plain containers, resolves no Python classes and runs no
/// code. Throws Error, with a hint to convert the file, for anything else; also for an OrderedDict, which that
/// unpickler does not read.
std::map<std::string, at::Tensor> read_pickled_tensors(const std::filesystem::path& path);

}  // namespace mformer
