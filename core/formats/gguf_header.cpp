#include "core/formats/gguf_header.h"

#include <bit>
#include <charconv>
#include <limits>
#include <set>

#include "core/formats/gguf_cursor.h"
#include "core/formats/quoted_name.h"
#include "core/formats/safetensors_header.h"
#include "modules_registry/error.h"

namespace mformer {
namespace {

constexpr std::string_view kGgufMagic = "GGUF";
constexpr std::uint64_t kMostKeys = 65'536, kMostTensors = 1'000'000, kMostItems = 1 << 22;
constexpr std::uint64_t kLongestKey = 65'535, kLongestTensorName = 4096, kLongestText = 64'000'000;
constexpr std::uint64_t kMostDimensions = 4;  // of ggml
constexpr std::uint64_t kGreatestAlignment = 1 << 20;

/// The kinds of values by the numbers of the format.
enum class GgufKind : std::uint32_t { u8, i8, u16, i16, u32, i32, f32, boolean, text, list, u64, i64, f64 };

std::uint64_t least_bytes(GgufKind kind) {
  switch (kind) {
    case GgufKind::u8:
    case GgufKind::i8:
    case GgufKind::boolean:
      return 1;
    case GgufKind::u16:
    case GgufKind::i16:
      return 2;
    case GgufKind::u32:
    case GgufKind::i32:
    case GgufKind::f32:
      return 4;
    default:
      return 8;  // of a text its length
  }
}

double shortest(float value) {
  char text[32];
  const auto end = std::to_chars(text, text + sizeof text, value).ptr;
  double read = value;
  std::from_chars(text, end, read);
  return read;
}

class GgufHeaderReader {
 public:
  explicit GgufHeaderReader(const InputFile& file) : file_(file), cursor_(file) {}

  GgufHeader read() {
    read_beginning();
    const std::uint64_t tensors = cursor_.count(24, kMostTensors, "tensors");
    const std::uint64_t keys = cursor_.count(13, kMostKeys, "keys of metadata");
    for (std::uint64_t i = 0; i < keys; ++i) read_pair();
    const std::uint64_t alignment = read_alignment();
    for (std::uint64_t i = 0; i < tensors; ++i) read_tensor();
    place(alignment);
    return std::move(header_);
  }

 private:
  void read_beginning() {
    char magic[4];
    for (char& letter : magic) letter = cursor_.number<char>();
    if (std::string_view(magic, 4) != kGgufMagic) cursor_.fail("it does not begin with GGUF");
    const auto version = cursor_.number<std::uint32_t>();
    if (version == 2 || version == kGgufVersion) return;
    const bool swapped = version != 0 && (version & 0xFFFFU) == 0;
    throw Error("'" + file_.path().string() + "' is " +
                    (swapped ? "a GGUF file of big-endian numbers" : "of GGUF version " + std::to_string(version)),
                swapped ? "take the little-endian file, which is the usual one"
                        : "versions 2 and 3 are read: convert the model anew, or take a newer file of it");
  }

  void read_pair() {
    const std::string key = cursor_.text(kLongestKey, "a key of the metadata");
    const auto kind = read_kind(key);
    GgufValue value = kind == GgufKind::list ? read_list(key) : read_value(kind, key);
    if (!header_.metadata.emplace(key, std::move(value)).second) {
      cursor_.fail("the key " + quoted_name(key) + " is there twice");
    }
  }

  GgufKind read_kind(const std::string& key) {
    const auto kind = cursor_.number<std::uint32_t>();
    if (kind > static_cast<std::uint32_t>(GgufKind::f64)) {
      cursor_.fail("the value of " + quoted_name(key) + " is of the unknown kind " + std::to_string(kind));
    }
    return static_cast<GgufKind>(kind);
  }

  std::int64_t whole(GgufKind kind, const std::string& key) {
    switch (kind) {
      case GgufKind::u8:
        return cursor_.number<std::uint8_t>();
      case GgufKind::i8:
        return cursor_.number<std::int8_t>();
      case GgufKind::u16:
        return cursor_.number<std::uint16_t>();
      case GgufKind::i16:
        return cursor_.number<std::int16_t>();
      case GgufKind::u32:
        return cursor_.number<std::uint32_t>();
      case GgufKind::i32:
        return cursor_.number<std::int32_t>();
      case GgufKind::boolean:
        return truth(key) ? 1 : 0;
      case GgufKind::i64:
        return cursor_.number<std::int64_t>();
      default: {
        const auto value = cursor_.number<std::uint64_t>();
        if (value > std::uint64_t{std::numeric_limits<std::int64_t>::max()}) {
          cursor_.fail("the value of " + quoted_name(key) + " is " + std::to_string(value));
        }
        return static_cast<std::int64_t>(value);
      }
    }
  }

  bool truth(const std::string& key) {
    const auto value = cursor_.number<std::uint8_t>();
    if (value > 1) cursor_.fail("the value of " + quoted_name(key) + " is neither true nor false");
    return value == 1;
  }

  GgufValue read_value(GgufKind kind, const std::string& key) {
    if (kind == GgufKind::text) return cursor_.text(kLongestText, "the value of " + quoted_name(key));
    if (kind == GgufKind::boolean) return truth(key);
    if (kind == GgufKind::f32) return shortest(cursor_.number<float>());
    if (kind == GgufKind::f64) return cursor_.number<double>();
    return whole(kind, key);
  }

  GgufValue read_list(const std::string& key) {
    const GgufKind kind = read_kind(key);
    if (kind == GgufKind::list) cursor_.fail("the value of " + quoted_name(key) + " is a list of lists");
    const std::uint64_t count = cursor_.count(least_bytes(kind), kMostItems, "values in the list " + quoted_name(key));
    if (kind == GgufKind::text) {
      std::vector<std::string> texts;
      texts.reserve(count);
      const std::string what = "a text in the list " + quoted_name(key);
      for (std::uint64_t i = 0; i < count; ++i) texts.push_back(cursor_.text(kLongestText, what));
      return texts;
    }
    if (kind == GgufKind::f32 || kind == GgufKind::f64) {
      std::vector<double> numbers;
      numbers.reserve(count);
      for (std::uint64_t i = 0; i < count; ++i) {
        numbers.push_back(kind == GgufKind::f32 ? cursor_.number<float>() : cursor_.number<double>());
      }
      return numbers;
    }
    std::vector<std::int64_t> numbers;
    numbers.reserve(count);
    for (std::uint64_t i = 0; i < count; ++i) numbers.push_back(whole(kind, key));
    return numbers;
  }

  std::uint64_t read_alignment() {
    const auto found = header_.metadata.find("general.alignment");
    if (found == header_.metadata.end()) return kGgufAlignment;
    const auto* const value = std::get_if<std::int64_t>(&found->second);
    const auto alignment = value == nullptr ? 0 : static_cast<std::uint64_t>(*value);
    if (alignment > kGreatestAlignment || !std::has_single_bit(alignment)) {
      cursor_.fail("'general.alignment' is no power of two up to " + std::to_string(kGreatestAlignment));
    }
    return alignment;
  }

  void read_tensor() {
    GgufTensor tensor;
    tensor.name = cursor_.text(kLongestTensorName, "the name of a tensor");
    const auto dimensions = cursor_.number<std::uint32_t>();
    if (dimensions == 0 || dimensions > kMostDimensions) {
      refuse(tensor, "has " + std::to_string(dimensions) + " dimensions");
    }
    for (std::uint32_t i = 0; i < dimensions; ++i) {
      const auto size = cursor_.number<std::uint64_t>();
      if (size > std::uint64_t{std::numeric_limits<std::int64_t>::max()}) {
        refuse(tensor, "has a dimension of " + std::to_string(size));
      }
      tensor.shape.insert(tensor.shape.begin(), static_cast<std::int64_t>(size));
    }
    const auto type = cursor_.number<std::uint32_t>();
    const std::optional<GgufType> known = gguf_type(type);
    if (!known) {
      throw Error("'" + file_.path().string() + "': the tensor " + quoted_name(tensor.name) + " is of type " +
                      gguf_type_name(type) + ", which mformer does not read",
                  "F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q4_K, Q5_K and Q6_K are read: take another file of "
                  "the model, Q8_0 say");
    }
    tensor.type = *known;
    tensor.dtype = dtype_of(*known);
    tensor.offset = cursor_.number<std::uint64_t>();
    if (!names_.insert(tensor.name).second) refuse(tensor, "is there twice");
    header_.tensors.push_back(std::move(tensor));
  }

  /// The bytes of the tensor in the file; its elements must be countable as float32 too.
  std::uint64_t bytes_of(const GgufTensor& tensor) {
    const GgufBlock block = gguf_block(tensor.type);
    if (tensor.shape.back() % block.elements != 0) {
      refuse(tensor, "has rows of " + std::to_string(tensor.shape.back()) + " numbers, which are not whole blocks of " +
                         gguf_type_name(tensor.type));
    }
    const std::optional<std::uint64_t> as_floats = tensor_bytes(DType::F32, tensor.shape);
    if (!as_floats) refuse(tensor, "has the impossible shape " + shape_text(tensor.shape));
    return *as_floats / sizeof(float) / static_cast<std::uint64_t>(block.elements) * block.bytes;
  }

  /// Turns the offsets, which count from the end of the header, into places in the file.
  void place(std::uint64_t alignment) {
    const auto aligned = [&](std::uint64_t offset) { return (offset + alignment - 1) / alignment * alignment; };
    const std::uint64_t start = aligned(cursor_.offset());
    std::uint64_t next = 0;
    for (GgufTensor& tensor : header_.tensors) {
      const std::uint64_t bytes = bytes_of(tensor), size = file_.size();
      if (tensor.offset != next) {
        refuse(tensor, "begins at byte " + std::to_string(tensor.offset) +
                           " of the data, but the tensor before it ends "
                           "so that it must be at " +
                           std::to_string(next));
      }
      if (start > size || next > size - start || bytes > size - start - next) {
        refuse(tensor, "reaches beyond the end of the file");
      }
      tensor.offset = start + next;
      next = aligned(next + bytes);
    }
    if (!header_.tensors.empty() && file_.size() > start + next) {
      cursor_.fail("there are " + std::to_string(file_.size() - start - next) + " bytes after its last tensor");
    }
  }

  [[noreturn]] void refuse(const GgufTensor& tensor, const std::string& what) {
    cursor_.fail("the tensor " + quoted_name(tensor.name) + " " + what);
  }

  const InputFile& file_;
  GgufCursor cursor_;
  GgufHeader header_;
  std::set<std::string> names_;
};

}  // namespace

const char* kind_of(const GgufValue& value) {
  constexpr const char* kNames[] = {"true or false",           "a whole number",    "a number",       "a text",
                                    "a list of whole numbers", "a list of numbers", "a list of texts"};
  return kNames[value.index()];
}

bool is_gguf(std::string_view beginning) {
  return beginning.starts_with(kGgufMagic);
}

GgufHeader read_gguf_header(const InputFile& file) {
  return GgufHeaderReader(file).read();
}

}  // namespace mformer
