#include "kernels/cpu/transpose.h"

#include <algorithm>
#include <cstring>
#include <type_traits>

namespace mformer::kernels::cpu {
namespace {

/// What a vector of 16 bytes holds: a tile is so many rows of so many elements.
template <class T>
constexpr int kTile = 16 / sizeof(T);
/// A block is as wide as a line of the cache, so that each line is read once and written once, whole.
template <class T>
constexpr int kBlock = 64 / sizeof(T);
/// Rows that are turned for all columns before the next: they stay in the cache.
constexpr std::int64_t kPanel = 256;

typedef std::uint8_t Bytes16 __attribute__((vector_size(16)));
typedef std::uint16_t Halves8 __attribute__((vector_size(16)));
typedef std::uint32_t Words4 __attribute__((vector_size(16)));

/// Elements of both in turn: of their first halves, and of their second.
void interleave(Bytes16 a, Bytes16 b, Bytes16& first, Bytes16& second) {
  first = __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
  second = __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
}
void interleave(Halves8 a, Halves8 b, Halves8& first, Halves8& second) {
  first = __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11);
  second = __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15);
}
void interleave(Words4 a, Words4 b, Words4& first, Words4& second) {
  first = __builtin_shufflevector(a, b, 0, 4, 1, 5);
  second = __builtin_shufflevector(a, b, 2, 6, 3, 7);
}

template <class T>
using Vector = std::conditional_t<sizeof(T) == 1, Bytes16, std::conditional_t<sizeof(T) == 2, Halves8, Words4>>;

/// Interleaving row i with row i + n / 2 is a turn of the bits of an element's place in the tile by one; after as many
/// as the row's number has bits, row and column have changed places.
template <class T>
inline void transpose_tile(const T* from, std::int64_t from_row, T* to, std::int64_t to_row) {
  constexpr int n = kTile<T>;
  Vector<T> tile[n], turned[n];
  for (int i = 0; i < n; ++i) std::memcpy(&tile[i], from + i * from_row, sizeof(Vector<T>));
  for (int round = 1; round < n; round *= 2) {
    for (int i = 0; i < n / 2; ++i) interleave(tile[i], tile[i + n / 2], turned[2 * i], turned[2 * i + 1]);
    for (int i = 0; i < n; ++i) tile[i] = turned[i];
  }
  for (int i = 0; i < n; ++i) std::memcpy(to + i * to_row, &tile[i], sizeof(Vector<T>));
}

template <class T>
void transpose_part(const T* from, std::int64_t from_row, std::int64_t rows, std::int64_t columns, T* to,
                    std::int64_t to_row) {
  for (std::int64_t c = 0; c < columns; ++c) {
    for (std::int64_t r = 0; r < rows; ++r) to[c * to_row + r] = from[r * from_row + c];
  }
}

/// Through a block beside: rows whose distance is a power of two share few places of the cache, so that theirs would
/// be gone before all of a line is used. What the next block reads and writes is asked for meanwhile, since no
/// processor guesses it; where there is no next block that does nothing.
template <class T>
void transpose_block(const T* from, std::int64_t from_row, T* to, std::int64_t to_row) {
  constexpr int n = kBlock<T>;
  alignas(64) T read[n * n];
  for (int r = 0; r < n; ++r) {
    std::memcpy(read + r * n, from + r * from_row, sizeof(T) * n);
    __builtin_prefetch(from + (r + n) * from_row);
    __builtin_prefetch(to + r * to_row + n, 1);
  }
  for (int c = 0; c < n; c += kTile<T>) {
    for (int r = 0; r < n; r += kTile<T>) transpose_tile(read + r * n + c, n, to + c * to_row + r, to_row);
  }
}

template <class T>
void transpose_all(const T* from, std::int64_t from_row, std::int64_t rows, std::int64_t columns, T* to,
                   std::int64_t to_row) {
  constexpr std::int64_t n = kBlock<T>;
  for (std::int64_t panel = 0; panel < rows; panel += kPanel) {
    const std::int64_t end = std::min(rows, panel + kPanel);
    for (std::int64_t c = 0; c < columns; c += n) {
      for (std::int64_t r = panel; r < end; r += n) {
        const T* source = from + r * from_row + c;
        T* target = to + c * to_row + r;
        if (r + n <= end && c + n <= columns) {
          transpose_block(source, from_row, target, to_row);
        } else {
          transpose_part(source, from_row, std::min(n, end - r), std::min(n, columns - c), target, to_row);
        }
      }
    }
  }
}

}  // namespace

void transpose(const std::uint8_t* from, std::int64_t from_row, std::int64_t rows, std::int64_t columns,
               std::uint8_t* to, std::int64_t to_row) {
  transpose_all(from, from_row, rows, columns, to, to_row);
}

void transpose(const std::uint16_t* from, std::int64_t from_row, std::int64_t rows, std::int64_t columns,
               std::uint16_t* to, std::int64_t to_row) {
  transpose_all(from, from_row, rows, columns, to, to_row);
}

void transpose(const std::uint32_t* from, std::int64_t from_row, std::int64_t rows, std::int64_t columns,
               std::uint32_t* to, std::int64_t to_row) {
  transpose_all(from, from_row, rows, columns, to, to_row);
}

}  // namespace mformer::kernels::cpu
