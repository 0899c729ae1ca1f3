#pragma once

#include <cstdint>

// The loop behind kernels/matrix_copy.h.
namespace mformer::kernels::cpu {

/// to[c · to_row + r] = from[r · from_row + c] for all r < rows, c < columns: elements of one, two or four bytes,
/// whatever they mean. The two may not overlap.
void transpose(const std::uint8_t* from, std::int64_t from_row, std::int64_t rows, std::int64_t columns,
               std::uint8_t* to, std::int64_t to_row);
void transpose(const std::uint16_t* from, std::int64_t from_row, std::int64_t rows, std::int64_t columns,
               std::uint16_t* to, std::int64_t to_row);
void transpose(const std::uint32_t* from, std::int64_t from_row, std::int64_t rows, std::int64_t columns,
               std::uint32_t* to, std::int64_t to_row);

}  // namespace mformer::kernels::cpu
