#include "core/checkpoint/gguf_elements.h"

#include <ATen/ops/empty.h>

#include "core/checkpoint/tensor_io.h"

namespace mformer {
namespace {

at::Tensor as_stored(const HubFolder::StoredGguf& stored, std::int64_t first, const std::vector<std::int64_t>& shape) {
  at::Tensor tensor = at::empty(shape, scalar_type(stored.tensor->dtype));
  if (tensor.numel() == 0) return tensor;
  stored.file->read(*stored.tensor, first, {static_cast<std::byte*>(tensor.mutable_data_ptr()), tensor.nbytes()});
  return tensor;
}

}  // namespace

at::Tensor gguf_elements(const HubFolder::StoredGguf& stored, std::int64_t interleaved, std::int64_t first,
                         const std::vector<std::int64_t>& shape) {
  if (interleaved == 0) return as_stored(stored, first, shape);
  std::int64_t row = 1;
  for (std::size_t i = 1; i < shape.size(); ++i) row *= shape[i];
  const std::int64_t first_row = first / row, end = first_row + shape.front();
  const std::int64_t group = first_row / interleaved, groups = (end + interleaved - 1) / interleaved - group;
  std::vector<std::int64_t> whole = shape;
  whole.front() = groups * interleaved;
  const at::Tensor rows = as_stored(stored, group * interleaved * row, whole);
  return rows.view({groups, interleaved / 2, 2, row})
      .transpose(1, 2)
      .reshape(whole)
      .narrow(0, first_row - group * interleaved, shape.front());
}

at::Tensor with_interleaved_rows(const at::Tensor& tensor, std::int64_t interleaved) {
  if (interleaved == 0) return tensor;
  return tensor.reshape({-1, 2, interleaved / 2, tensor.numel() / tensor.size(0)})
      .transpose(1, 2)
      .reshape(tensor.sizes());
}

}  // namespace mformer
