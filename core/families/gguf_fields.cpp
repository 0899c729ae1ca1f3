#include "core/families/gguf_fields.h"

#include <cmath>
#include <cstring>

#include "core/formats/half_float.h"
#include "core/formats/quoted_name.h"
#include "modules_registry/error.h"

namespace mformer {

GgufFields::GgufFields(const std::vector<GgufFile>& files) : files_(files), source_(files.front().source()) {
  architecture_ = text("general.architecture", "");
  if (architecture_.empty()) fail("'general.architecture' is missing", "fetch the file again");
}

std::string GgufFields::name_of(const std::string& key) const {
  const bool is_whole = key.starts_with("general.") || key.starts_with("tokenizer.");
  return is_whole ? key : architecture_ + "." + key;
}

const GgufValue* GgufFields::find(const std::string& key) {
  const std::string name = name_of(key);
  known_.insert(name);
  const GgufMetadata& metadata = files_.front().metadata();
  const auto found = metadata.find(name);
  return found == metadata.end() ? nullptr : &found->second;
}

bool GgufFields::has(const std::string& key) {
  return find(key) != nullptr;
}

std::int64_t GgufFields::count(const std::string& key) {
  if (!has(key)) fail("'" + name_of(key) + "' is missing", "fetch the file again, or convert the model anew");
  return count(key, 0);
}

std::int64_t GgufFields::count(const std::string& key, std::int64_t otherwise) {
  const GgufValue* const found = find(key);
  if (found == nullptr) return otherwise;
  if (const auto* const value = std::get_if<std::int64_t>(found)) return *value;
  const auto* const list = std::get_if<std::vector<std::int64_t>>(found);  // one for each layer
  if (list == nullptr || list->empty()) fail_kind(key, *found, "a whole number");
  for (const std::int64_t value : *list) {
    if (value != list->front()) fail("'" + name_of(key) + "' differs between layers", "mformer computes equal ones");
  }
  return list->front();
}

double GgufFields::number(const std::string& key, double otherwise) {
  const GgufValue* const found = find(key);
  if (found == nullptr) return otherwise;
  if (const auto* const whole = std::get_if<std::int64_t>(found)) return static_cast<double>(*whole);
  const auto* const value = std::get_if<double>(found);
  if (value == nullptr) fail_kind(key, *found, "a number");
  if (!std::isfinite(*value)) fail("'" + name_of(key) + "' is " + std::to_string(*value), "fetch the file again");
  return *value;
}

bool GgufFields::truth(const std::string& key, bool otherwise) {
  const GgufValue* const found = find(key);
  if (found == nullptr) return otherwise;
  if (const auto* const value = std::get_if<bool>(found)) return *value;
  fail_kind(key, *found, "true or false");
}

std::string GgufFields::text(const std::string& key, const std::string& otherwise) {
  const GgufValue* const found = find(key);
  if (found == nullptr) return otherwise;
  if (const auto* const value = std::get_if<std::string>(found)) return *value;
  fail_kind(key, *found, "a text");
}

void GgufFields::require(const std::string& key, std::int64_t only) {
  const GgufValue* const found = find(key);
  if (found == nullptr) return;
  const auto* const is = std::get_if<bool>(found);
  const std::int64_t value = is != nullptr ? static_cast<std::int64_t>(*is) : count(key, only);
  if (value == only) return;
  fail("'" + name_of(key) + "' is " + std::to_string(value), "mformer computes " + std::to_string(only) + " only");
}

void GgufFields::require_all_known() const {
  const std::string prefix = architecture_ + ".";
  for (const auto& [key, value] : files_.front().metadata()) {
    if (!key.starts_with(prefix) || known_.contains(key)) continue;
    fail(quoted_name(key) + " is unknown", "mformer would compute another model than this one");
  }
}

const GgufTensor* GgufFields::tensor(std::string_view name) const {
  for (const GgufFile& file : files_) {
    if (const GgufTensor* found = file.find(name)) return found;
  }
  return nullptr;
}

std::vector<float> GgufFields::values(const GgufTensor& tensor) const {
  std::int64_t count = 1;
  for (const std::int64_t size : tensor.shape) count *= size;
  std::vector<std::byte> bytes(static_cast<std::size_t>(count) * item_size(tensor.dtype));
  for (const GgufFile& file : files_) {
    if (file.find(tensor.name) == &tensor) file.read(tensor, 0, bytes);
  }
  std::vector<float> values(static_cast<std::size_t>(count));
  if (tensor.dtype == DType::F32) {
    std::memcpy(values.data(), bytes.data(), bytes.size());
    return values;
  }
  for (std::size_t i = 0; i < values.size(); ++i) {
    std::uint16_t half = 0;
    std::memcpy(&half, bytes.data() + i * sizeof half, sizeof half);
    values[i] = tensor.dtype == DType::F16 ? half_to_float(half) : bfloat16_to_float(half);
  }
  return values;
}

void GgufFields::fail(const std::string& what, const std::string& hint) const {
  throw Error("'" + source_ + "': " + what, hint);
}

void GgufFields::fail_kind(const std::string& key, const GgufValue& found, const char* wanted) const {
  fail("'" + name_of(key) + "' must be " + wanted + ", not " + kind_of(found), "fetch the file again");
}

}  // namespace mformer
