#include <optional>
#include <string>
#include <utility>

#include "core/workflows/export_types.h"
#include "modules_registry/error.h"

namespace mformer {

namespace {

constexpr std::pair<const char*, at::ScalarType> kExportedDtypes[] = {
    {"float32", at::kFloat}, {"bfloat16", at::kBFloat16}, {"float16", at::kHalf}};
constexpr std::pair<const char*, GgufType> kGgufByDtype[] = {
    {"float32", GgufType::F32}, {"bfloat16", GgufType::BF16}, {"float16", GgufType::F16}};
constexpr std::pair<const char*, GgufType> kGgufByQuantize[] = {
    {"q8_0", GgufType::Q8_0}, {"q4_0", GgufType::Q4_0}, {"q4_1", GgufType::Q4_1}};

template <typename Type, std::size_t kCount>
std::optional<Type> named(const std::pair<const char*, Type> (&all)[kCount], const std::string& name) {
  for (const auto& [known, type] : all) {
    if (known == name) return type;
  }
  return std::nullopt;
}

}  // namespace

at::ScalarType exported_dtype(const ExportOptions& options, at::ScalarType stored) {
  const std::string name = options.dtype.empty() && !options.quantize.empty() ? "bfloat16" : options.dtype;
  if (name.empty()) return stored;
  if (const auto dtype = named(kExportedDtypes, name)) return *dtype;
  throw UsageError("unknown dtype '" + name + "'", "known: float32, bfloat16, float16");
}

GgufType gguf_type_of(const ExportOptions& options, at::ScalarType stored) {
  if (!options.quantize.empty() && !options.dtype.empty()) {
    throw UsageError("a GGUF file has one type for its matrices: --quantize and --dtype were both given",
                     "leave --dtype out: vectors and routers are float32 in any case");
  }
  if (!options.quantize.empty()) {
    if (const auto type = named(kGgufByQuantize, options.quantize)) return *type;
    throw UsageError("unknown quantisation '" + options.quantize + "' of a GGUF file", "known: q8_0, q4_0, q4_1");
  }
  if (options.dtype.empty()) {
    return stored == at::kBFloat16 ? GgufType::BF16 : stored == at::kHalf ? GgufType::F16 : GgufType::F32;
  }
  if (const auto type = named(kGgufByDtype, options.dtype)) return *type;
  throw UsageError("unknown dtype '" + options.dtype + "'", "known: float32, bfloat16, float16");
}

void ExportOptions::validate() const {
  if (!format.empty() && format != "gguf") throw UsageError("unknown format '" + format + "'", "known: gguf");
  if (is_gguf(*this)) {
    gguf_type_of(*this, at::kFloat);
    return;
  }
  exported_dtype(*this, at::kFloat);
  if (!quantize.empty() && quantize != "int8" && quantize != "int4") {
    throw UsageError("unknown quantisation '" + quantize + "'", "known: int8, int4");
  }
  if (quantize == "int4" && layout == "transformers") {
    throw UsageError("--for transformers writes no int4",
                     "--quantize int8 --for transformers does; mformer reads both");
  }
  if (!layout.empty() && layout != "transformers") {
    throw UsageError("unknown reader '" + layout + "'", "known: transformers");
  }
}

}  // namespace mformer
