#include "core/checkpoint/tensor_io.h"

#include <ATen/ops/empty.h>

#include "core/formats/quoted_name.h"
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
  view.read(static_cast<std::byte*>(tensor.mutable_data_ptr()));
  return tensor;
}

at::Tensor to_tensor(const TorchFile& file, const PickledTensor& tensor) {
  const std::int64_t span = elements_spanned(tensor).value_or(0);
  std::int64_t elements = 1;
  for (const std::int64_t size : tensor.shape) elements *= size;
  if (elements > span) {
    throw Error("'" + file.source() + "': tensor " + quoted_name(tensor.name) + " repeats what is stored once",
                "save it as tensor.contiguous()");
  }
  const at::Tensor stored = at::empty({span}, scalar_type(tensor.dtype));
  file.read(tensor, tensor.offset, {static_cast<std::byte*>(stored.mutable_data_ptr()), stored.nbytes()});
  if (span == 0 || is_contiguous(tensor)) return stored.view(tensor.shape);
  return stored.as_strided(tensor.shape, tensor.strides).contiguous();
}

TensorToWrite to_write(const std::string& name, const at::Tensor& tensor) {
  TORCH_CHECK(tensor.is_contiguous() && tensor.device().is_cpu(), "to_write needs a contiguous CPU tensor: ", name);
  const auto* data = static_cast<const std::byte*>(tensor.const_data_ptr());
  return {name, dtype_of(tensor.scalar_type()), tensor.sizes().vec(), {data, tensor.nbytes()}};
}

}  // namespace mformer
