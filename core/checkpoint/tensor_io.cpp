#include "core/checkpoint/tensor_io.h"

#include <ATen/ops/empty.h>

#include <cstring>

#include "modules_registry/error.h"

namespace mformer {
namespace {

constexpr std::pair<DType, at::ScalarType> kTypes[] = {
    {DType::F64, at::kDouble}, {DType::F32, at::kFloat}, {DType::F16, at::kHalf},  {DType::BF16, at::kBFloat16},
    {DType::I64, at::kLong},   {DType::I32, at::kInt},   {DType::I16, at::kShort}, {DType::I8, at::kChar},
    {DType::U8, at::kByte},    {DType::BOOL, at::kBool},
};

}  // namespace

at::ScalarType scalar_type(DType dtype) {
  for (const auto& [ours, theirs] : kTypes) {
    if (ours == dtype) return theirs;
  }
  throw Error("unknown element type in a checkpoint");
}

DType dtype_of(at::ScalarType type) {
  for (const auto& [ours, theirs] : kTypes) {
    if (theirs == type) return ours;
  }
  throw Error(std::string("checkpoint files can't hold elements of type ") + c10::toString(type));
}

at::Tensor to_tensor(const TensorView& view) {
  at::Tensor tensor = at::empty(view.shape, scalar_type(view.dtype));
  if (view.bytes > 0) std::memcpy(tensor.data_ptr(), view.data, view.bytes);
  return tensor;
}

TensorToWrite to_write(const std::string& name, const at::Tensor& tensor) {
  TORCH_CHECK(tensor.is_contiguous() && tensor.device().is_cpu(), "to_write needs a contiguous CPU tensor: ", name);
  const auto* data = static_cast<const std::byte*>(tensor.const_data_ptr());
  return {name, dtype_of(tensor.scalar_type()), tensor.sizes().vec(), {data, tensor.nbytes()}};
}

}  // namespace mformer
