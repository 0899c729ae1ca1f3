#include "core/formats/safetensors_header.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <string_view>
#include <tuple>
#include <utility>

#include "core/formats/quoted_name.h"
#include "core/formats/stand_in.h"
#include "modules_registry/error.h"
#include "modules_registry/printable.h"

namespace mformer {
namespace {

using nlohmann::json;

static_assert(std::endian::native == std::endian::little, "safetensors data is used in place");

constexpr int kMaxHeaderDepth = 3;            // {"name": {"shape": [
constexpr std::size_t kMaxArrayEntries = 32;  // dimensions of a tensor
const char* const kRedownload = "the file is damaged or no safetensors file: fetch or export it again";

// Runs beside the JSON parser, and refuses what the finished document would hide (duplicate names) or what would cost
// far more memory than the file (nesting, endless arrays).
class StructureGuard {
 public:
  explicit StructureGuard(const std::string& source) : source_(source) {}

  bool operator()(int depth, json::parse_event_t event, const json& parsed) {
    switch (event) {
      case json::parse_event_t::object_start:
      case json::parse_event_t::array_start:
        if (depth >= kMaxHeaderDepth) throw Error(source_ + ": the header is nested too deeply", kRedownload);
        fields_.clear();
        array_entries_ = 0;
        in_array_ = event == json::parse_event_t::array_start;
        break;
      case json::parse_event_t::array_end:
        in_array_ = false;
        break;
      case json::parse_event_t::key:
        add_key(depth, parsed.get_ref<const std::string&>());
        break;
      case json::parse_event_t::value:
        if (in_array_ && ++array_entries_ > kMaxArrayEntries) {
          throw Error(source_ + ": tensor " + quoted_name(tensor_) + " has a list of more than 32 numbers",
                      kRedownload);
        }
        break;
      default:
        break;
    }
    return true;
  }

 private:
  void add_key(int depth, const std::string& key) {
    if (depth == 1) {
      tensor_ = key;
      if (!tensors_.insert(key).second)
        throw Error(source_ + ": tensor " + quoted_name(key) + " appears twice", kRedownload);
    } else if (!fields_.insert(key).second) {
      throw Error(source_ + ": " + quoted_name(key) + " of " + quoted_name(tensor_) + " appears twice", kRedownload);
    }
  }

  const std::string& source_;
  std::set<std::string> tensors_;
  std::set<std::string> fields_;
  std::string tensor_;
  std::size_t array_entries_ = 0;
  bool in_array_ = false;
};

// The header's length, checked against the file.
std::uint64_t header_length(Bytes bytes, std::uint64_t file_bytes, const std::string& source) {
  refuse_stand_in({reinterpret_cast<const char*>(bytes.data()), std::min(bytes.size(), kStandInBytes)}, source);
  std::uint64_t length = 0;
  if (bytes.size() < sizeof length) {
    throw Error(source + ": " + std::to_string(bytes.size()) + " bytes are too few for a safetensors file",
                kRedownload);
  }
  std::memcpy(&length, bytes.data(), sizeof length);
  if (length > kMaxHeaderBytes) {
    throw Error(source + ": the header claims " + std::to_string(length) + " bytes, more than the 100 MB allowed",
                kRedownload);
  }
  if (length > file_bytes - sizeof length) {
    throw Error(source + ": the header claims " + std::to_string(length) + " bytes, but only " +
                    std::to_string(file_bytes - sizeof length) + " follow",
                "the file is cut short: fetch or export it again");
  }
  return length;
}

json parse_header(std::string_view text, const std::string& source) {
  if (text.empty() || text.front() != '{') throw Error(source + ": the header is not a JSON object", kRedownload);
  // The parser takes a byte 0 for the end, and what lies behind it would be read by others.
  if (const std::size_t zero = text.find('\0'); zero != std::string_view::npos) {
    throw Error(source + ": the header is not valid JSON (byte " + std::to_string(zero + 1) + ")", kRedownload);
  }
  try {
    return json::parse(
        text, [guard = std::make_shared<StructureGuard>(source)](int depth, json::parse_event_t event, json& parsed) {
          return (*guard)(depth, event, parsed);
        });
  } catch (const json::exception& error) {
    throw Error(source + ": the header is not valid JSON (byte " +
                    std::to_string(dynamic_cast<const json::parse_error*>(&error)
                                       ? dynamic_cast<const json::parse_error&>(error).byte
                                       : 0) +
                    ")",
                kRedownload);
  }
}

class EntryReader {
 public:
  EntryReader(std::string name, const json& fields, const std::string& source)
      : where_(source + ": tensor " + quoted_name(name)), fields_(fields) {
    entry_.name = std::move(name);
  }

  HeaderEntry read(std::uint64_t data_bytes) {
    if (!fields_.is_object()) fail("is not described by a JSON object");
    for (const auto& [key, value] : fields_.items()) {
      if (key != "dtype" && key != "shape" && key != "data_offsets") fail("has an unknown field " + quoted_name(key));
    }
    read_dtype();
    read_shape();
    read_offsets(data_bytes);
    check_size();
    return std::move(entry_);
  }

 private:
  [[noreturn]] void fail(const std::string& what, const std::string& hint = kRedownload) const {
    throw Error(where_ + " " + what, hint);
  }

  const json& field(const char* key) const {
    const auto found = fields_.find(key);
    if (found == fields_.end()) fail(std::string("has no '") + key + "'");
    return *found;
  }

  void read_dtype() {
    const json& dtype = field("dtype");
    if (!dtype.is_string()) fail("has a dtype that is not a string");
    const auto parsed = parse_dtype(dtype.get_ref<const std::string&>());
    if (!parsed) {
      fail("has the unknown dtype " + quoted_name(dtype.get_ref<const std::string&>()),
           "F64, F32, F16, BF16, I64, I32, I16, I8, U8 and BOOL are read: convert the tensor to one of them");
    }
    entry_.dtype = *parsed;
  }

  void read_shape() {
    const json& shape = field("shape");
    if (!shape.is_array()) fail("has a shape that is not a list");
    for (const json& dimension : shape) {
      // Negative numbers, fractions and numbers beyond 64 bits are parsed as other types.
      if (!dimension.is_number_unsigned() ||
          dimension.get<std::uint64_t>() > std::uint64_t{std::numeric_limits<std::int64_t>::max()}) {
        fail("has a shape with the impossible dimension " + printable(shortened(dimension.dump(), 40)));
      }
      entry_.shape.push_back(dimension.get<std::int64_t>());
    }
  }

  void read_offsets(std::uint64_t data_bytes) {
    const json& offsets = field("data_offsets");
    if (!offsets.is_array() || offsets.size() != 2 || !offsets[0].is_number_unsigned() ||
        !offsets[1].is_number_unsigned()) {
      fail("has data_offsets that are not two whole numbers from 0 up");
    }
    entry_.begin = offsets[0].get<std::uint64_t>();
    entry_.end = offsets[1].get<std::uint64_t>();
    if (entry_.begin > entry_.end) {
      fail("ends (" + std::to_string(entry_.end) + ") before it begins (" + std::to_string(entry_.begin) + ")");
    }
    if (entry_.end > data_bytes) {
      fail("ends at byte " + std::to_string(entry_.end) + " of the data, which has only " + std::to_string(data_bytes),
           "the file is cut short or its header lies: fetch or export it again");
    }
  }

  void check_size() const {
    const auto bytes = tensor_bytes(entry_.dtype, entry_.shape);
    if (!bytes) fail("has the shape " + shape_text(entry_.shape) + ", which overflows");
    if (*bytes != entry_.end - entry_.begin) {
      fail("holds " + std::to_string(entry_.end - entry_.begin) + " bytes, but " + shape_text(entry_.shape) + " of " +
           std::string(dtype_name(entry_.dtype)) + " needs " + std::to_string(*bytes));
    }
  }

  std::string where_;
  const json& fields_;
  HeaderEntry entry_{};
};

std::map<std::string, std::string> read_metadata(const json& fields, const std::string& source) {
  std::map<std::string, std::string> metadata;
  if (!fields.is_object()) throw Error(source + ": __metadata__ is not a JSON object", kRedownload);
  for (const auto& [key, value] : fields.items()) {
    if (!value.is_string())
      throw Error(source + ": __metadata__ " + quoted_name(key) + " is not a string", kRedownload);
    metadata[key] = value.get<std::string>();
  }
  return metadata;
}

// Sorted by position, the tensors must follow each other from the first to the last byte of the data.
void check_coverage(const std::vector<HeaderEntry>& entries, std::uint64_t data_bytes, const std::string& source) {
  std::uint64_t covered = 0;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const HeaderEntry& entry = entries[i];
    if (entry.begin < covered) {
      throw Error(
          source + ": tensors " + quoted_name(entries[i - 1].name) + " and " + quoted_name(entry.name) + " overlap",
          kRedownload);
    }
    if (entry.begin > covered) {
      throw Error(source + ": " + std::to_string(entry.begin - covered) + " bytes before tensor " +
                      quoted_name(entry.name) + " belong to no tensor",
                  kRedownload);
    }
    covered = entry.end;
  }
  if (covered != data_bytes) {
    throw Error(source + ": the last " + std::to_string(data_bytes - covered) + " bytes belong to no tensor",
                kRedownload);
  }
}

}  // namespace

SafetensorsHeader read_safetensors_header(Bytes bytes, std::uint64_t file_bytes, const std::string& source) {
  const std::uint64_t length = header_length(bytes, file_bytes, source);
  const char* text = reinterpret_cast<const char*>(bytes.data()) + sizeof length;
  const json document = parse_header({text, length}, source);

  SafetensorsHeader header{{}, {}, sizeof length + length};
  const std::uint64_t data_bytes = file_bytes - header.data_offset;
  for (const auto& [name, fields] : document.items()) {
    if (name == "__metadata__") {
      header.metadata = read_metadata(fields, source);
    } else {
      header.entries.push_back(EntryReader(name, fields, source).read(data_bytes));
    }
  }
  std::sort(header.entries.begin(), header.entries.end(), [](const HeaderEntry& a, const HeaderEntry& b) {
    return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name);
  });
  check_coverage(header.entries, data_bytes, source);
  return header;
}

std::optional<std::uint64_t> tensor_bytes(DType dtype, std::span<const std::int64_t> shape) {
  auto bytes = static_cast<std::int64_t>(item_size(dtype));
  for (const std::int64_t dimension : shape) {
    if (dimension < 0 || __builtin_mul_overflow(bytes, dimension, &bytes)) return std::nullopt;
  }
  return static_cast<std::uint64_t>(bytes);
}

std::string shape_text(std::span<const std::int64_t> shape) {
  std::string text = "[";
  for (const std::int64_t dimension : shape) {
    if (text.size() > 1) text += ", ";
    text += std::to_string(dimension);
  }
  return text + "]";
}

}  // namespace mformer
