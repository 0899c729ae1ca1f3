#include "core/formats/gguf_writer.h"

#include <limits>
#include <set>
#include <type_traits>

#include "core/formats/quoted_name.h"
#include "core/formats/safetensors_header.h"
#include "modules_registry/error.h"

namespace mformer {
namespace {

std::uint64_t padded(std::uint64_t bytes) {
  return (bytes + kGgufAlignment - 1) / kGgufAlignment * kGgufAlignment;
}

/// The header as it grows.
class GgufHeaderText {
 public:
  template <class Number>
  void number(Number value) {
    static_assert(std::is_arithmetic_v<Number>);
    text_.append(reinterpret_cast<const char*>(&value), sizeof value);
  }

  void text(std::string_view value) {
    number<std::uint64_t>(value.size());
    text_ += value;
  }

  void pair(const std::string& key, const GgufValue& value) {
    text(key);
    std::visit([&](const auto& known) { put(key, known); }, value);
  }

  std::string& bytes() { return text_; }

 private:
  enum Kind : std::uint32_t { kU32 = 4, kI32 = 5, kF32 = 6, kBool = 7, kText = 8, kList = 9 };

  template <class Number>
  static Number fitting(const std::string& key, std::int64_t value) {
    if (value >= std::numeric_limits<Number>::min() && value <= std::numeric_limits<Number>::max()) {
      return static_cast<Number>(value);
    }
    throw Error("a GGUF file can't hold " + std::to_string(value) + " as " + quoted_name(key));
  }

  void put(const std::string&, bool value) {
    number<std::uint32_t>(kBool);
    number<std::uint8_t>(value ? 1 : 0);
  }
  void put(const std::string& key, std::int64_t value) {
    number<std::uint32_t>(kU32);
    number(fitting<std::uint32_t>(key, value));
  }
  void put(const std::string&, double value) {
    number<std::uint32_t>(kF32);
    number(static_cast<float>(value));
  }
  void put(const std::string&, const std::string& value) {
    number<std::uint32_t>(kText);
    text(value);
  }
  void put(const std::string& key, const std::vector<std::int64_t>& values) {
    list(kI32, values.size());
    for (const std::int64_t value : values) number(fitting<std::int32_t>(key, value));
  }
  void put(const std::string&, const std::vector<double>& values) {
    list(kF32, values.size());
    for (const double value : values) number(static_cast<float>(value));
  }
  void put(const std::string&, const std::vector<std::string>& values) {
    list(kText, values.size());
    for (const std::string& value : values) text(value);
  }
  void list(Kind kind, std::size_t count) {
    number<std::uint32_t>(kList);
    number<std::uint32_t>(kind);
    number<std::uint64_t>(count);
  }

  std::string text_;
};

std::string header_of(const GgufMetadata& metadata, const std::vector<GgufTensorInfo>& tensors) {
  GgufHeaderText header;
  header.bytes() = "GGUF";
  header.number(kGgufVersion);
  header.number<std::uint64_t>(tensors.size());
  header.number<std::uint64_t>(metadata.size());
  for (const auto& [key, value] : metadata) header.pair(key, value);
  std::uint64_t offset = 0;
  std::set<std::string_view> names;
  for (const GgufTensorInfo& tensor : tensors) {
    if (!names.insert(tensor.name).second) throw Error("tensor " + quoted_name(tensor.name) + " is given twice");
    header.text(tensor.name);
    header.number(static_cast<std::uint32_t>(tensor.shape.size()));
    for (auto size = tensor.shape.rbegin(); size != tensor.shape.rend(); ++size) {
      header.number(static_cast<std::uint64_t>(*size));
    }
    header.number(static_cast<std::uint32_t>(tensor.type));
    header.number(offset);
    offset = padded(offset + gguf_bytes(tensor));
  }
  std::string& bytes = header.bytes();
  bytes.resize(padded(bytes.size()), '\0');
  return std::move(bytes);
}

}  // namespace

std::uint64_t gguf_bytes(const GgufTensorInfo& tensor) {
  const GgufBlock block = gguf_block(tensor.type);
  const std::optional<std::uint64_t> as_floats = tensor_bytes(DType::F32, tensor.shape);
  if (!as_floats || tensor.shape.empty() || tensor.shape.back() % block.elements != 0) {
    throw Error("tensor " + quoted_name(tensor.name) + " of shape " + shape_text(tensor.shape) + " is not made of " +
                gguf_type_name(tensor.type) + " blocks");
  }
  return *as_floats / sizeof(float) / static_cast<std::uint64_t>(block.elements) * block.bytes;
}

void write_gguf(const std::filesystem::path& path, const GgufMetadata& metadata,
                const std::vector<GgufTensorInfo>& tensors, const WriteTensor& write) {
  const std::string header = header_of(metadata, tensors);
  write_file_atomically(path, [&](const ByteSink& sink) {
    sink(as_bytes(header));
    for (std::size_t i = 0; i < tensors.size(); ++i) {
      std::uint64_t written = 0;
      write(i, [&](Bytes bytes) {
        sink(bytes);
        written += bytes.size();
      });
      if (written != gguf_bytes(tensors[i])) {
        throw Error("tensor " + quoted_name(tensors[i].name) + " has " + std::to_string(written) +
                    " bytes instead of " + std::to_string(gguf_bytes(tensors[i])));
      }
      sink(as_bytes(std::string(padded(written) - written, '\0')));
    }
  });
}

}  // namespace mformer
