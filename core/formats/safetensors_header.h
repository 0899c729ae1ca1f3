#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/formats/dtype.h"
#include "modules_registry/files.h"

namespace mformer {

/// What the header says about one tensor; `begin` and `end` count bytes from the end of the header.
struct HeaderEntry {
  std::string name;
  DType dtype;
  std::vector<std::int64_t> shape;
  std::uint64_t begin;
  std::uint64_t end;
};

struct SafetensorsHeader {
  std::vector<HeaderEntry> entries;  ///< Sorted by position: they cover the data without hole or overlap.
  std::map<std::string, std::string> metadata;
  std::size_t data_offset;  ///< Where the data starts in the file.
};

inline constexpr std::uint64_t kMaxHeaderBytes = 100'000'000;  ///< The limit of the format's own implementation.

/// Reads and checks the header of a file of `file_bytes` bytes that begins with `bytes`: at least 256 of them, and all
/// that the header claims to take, as far as they are there. Throws Error, each sentence starting with `source`.
SafetensorsHeader read_safetensors_header(Bytes bytes, std::uint64_t file_bytes, const std::string& source);

/// Bytes of a tensor, or nothing when a dimension is negative or the product does not fit in 63 bits.
std::optional<std::uint64_t> tensor_bytes(DType dtype, std::span<const std::int64_t> shape);

/// "[2, 3]", for messages.
std::string shape_text(std::span<const std::int64_t> shape);

}  // namespace mformer
