#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

namespace mformer::benchmarks {

/// Bytes a second that all threads together read from the memory of `buffers`, each contiguous: the best of several
/// passes. Together they should be far larger than the caches. It depends on where the memory lies (page size, host),
/// so a floor takes the buffers that the work itself reads.
double read_bandwidth(const std::vector<at::Tensor>& buffers);

/// Operations a second of LibTorch's product of two square matrices of `dtype`: the best of several.
double product_peak(at::ScalarType dtype);

}  // namespace mformer::benchmarks
