#include "core/formats/pickle_values.h"

namespace mformer::pickle {

std::optional<DType> storage_dtype(std::string_view name) {
  constexpr std::pair<std::string_view, DType> kStorages[] = {
      {"DoubleStorage", DType::F64},    {"FloatStorage", DType::F32}, {"HalfStorage", DType::F16},
      {"BFloat16Storage", DType::BF16}, {"LongStorage", DType::I64},  {"IntStorage", DType::I32},
      {"ShortStorage", DType::I16},     {"CharStorage", DType::I8},   {"ByteStorage", DType::U8},
      {"BoolStorage", DType::BOOL}};
  for (const auto& [known, dtype] : kStorages) {
    if (known == name) return dtype;
  }
  return std::nullopt;
}

}  // namespace mformer::pickle
