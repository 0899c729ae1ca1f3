#pragma once

#include <cstdint>
#include <random>
#include <vector>

#include "core/text/packing.h"
#include "tests/support/tiny_model.h"

namespace mformer::testing {

/// `tokens` tokens of the tiny vocabulary in documents of 20: each follows from the one before or, one time in four, is
/// drawn at random. There is something to learn, and not at once.
inline TokenData tiny_tokens(std::size_t tokens, unsigned seed = 1) {
  std::mt19937 random(seed);
  std::vector<std::uint32_t> ids;
  std::vector<std::uint64_t> starts;
  for (std::size_t i = 0; i < tokens; ++i) {
    if (i % 20 == 0) starts.push_back(i);
    const bool free = ids.empty() || random() % 4 == 0;
    ids.push_back(free ? random() % 60 : (7 * ids.back() + 3) % 60);
    if (i % 20 == 19) ids.back() = 60;
  }
  starts.push_back(tokens);
  return TokenData::in_memory(std::move(ids), std::move(starts));
}

inline PackedWindows tiny_windows(std::size_t tokens = 2000, std::int64_t context = 12, unsigned seed = 1,
                                  LastWindow last = LastWindow::drop) {
  return {tiny_tokens(tokens, seed), context, last};
}

}  // namespace mformer::testing
