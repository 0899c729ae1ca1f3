#include "core/text/packing.h"

#include <algorithm>
#include <array>
#include <bit>
#include <string>
#include <utility>

#include "modules_registry/error.h"

namespace mformer {
namespace {

/// SplitMix64's finaliser: every input bit reaches every output bit.
uint64_t mix(uint64_t value) {
  value += 0x9E3779B97F4A7C15U;
  value = (value ^ (value >> 30U)) * 0xBF58476D1CE4E5B9U;
  value = (value ^ (value >> 27U)) * 0x94D049BB133111EBU;
  return value ^ (value >> 31U);
}

/// A permutation of [0, 4^half_bits): a Feistel network, each round of which swaps the halves of the number after
/// adding a keyed hash of the one to the other.
uint64_t feistel(uint64_t value, unsigned half_bits, uint64_t key) {
  constexpr unsigned kRounds = 6;
  const uint64_t mask = (uint64_t{1} << half_bits) - 1;
  uint64_t left = value >> half_bits;
  uint64_t right = value & mask;
  for (unsigned round = 0; round < kRounds; ++round) {
    const uint64_t next = left ^ (mix(right ^ mix(key + round)) & mask);
    left = right;
    right = next;
  }
  return (left << half_bits) | right;
}

int64_t count_windows(int64_t tokens, int64_t context, LastWindow last) {
  if (tokens < 2) return 0;
  return last == LastWindow::drop ? (tokens - 1) / context : (tokens - 1 + context - 1) / context;
}

}  // namespace

PackedWindows::PackedWindows(TokenData data, int64_t context, LastWindow last)
    : data_(std::move(data)), context_(context), windows_(0) {
  if (context < 1) throw UsageError("the context length is " + std::to_string(context) + ", not at least 1");
  const auto tokens = static_cast<int64_t>(data_.tokens().size());
  windows_ = count_windows(tokens, context, last);
  if (windows_ > 0) return;
  const int64_t needed = last == LastWindow::drop ? context + 1 : 2;
  throw Error("the text is too short: " + std::to_string(tokens) + " tokens, and one window of context " +
                  std::to_string(context) + " needs " + std::to_string(needed),
              "give more text, or choose a shorter context");
}

Window PackedWindows::window(int64_t index) const {
  if (index < 0 || index >= windows_) {
    throw Error("there is no window " + std::to_string(index) + ": there are " + std::to_string(windows_));
  }
  const auto length = static_cast<size_t>(context_);
  const std::vector<uint32_t> tokens = tokens_of(index);
  const size_t used = tokens.size() - 1;
  Window window{std::vector<int64_t>(length, 0), std::vector<int64_t>(length, kIgnore), static_cast<int64_t>(used)};
  for (size_t at = 0; at < used; ++at) {
    const uint32_t target = tokens[at + 1];
    window.inputs[at] = tokens[at] & TokenData::kIdMask;
    if ((target & TokenData::kNoLoss) == 0) window.targets[at] = target;
  }
  const auto first = static_cast<size_t>(index) * length + 1;  // token that the first input predicts
  const auto starts = data_.starts();
  for (auto start = std::lower_bound(starts.begin(), starts.end(), first);
       start != starts.end() && *start < first + used; ++start) {
    window.starts.push_back(static_cast<int64_t>(*start - first));
  }
  return window;
}

bool PackedWindows::has_target(int64_t index) const {
  const std::vector<uint32_t> tokens = tokens_of(index);
  return std::any_of(tokens.begin() + 1, tokens.end(),
                     [](uint32_t token) { return (token & TokenData::kNoLoss) == 0; });
}

std::vector<uint32_t> PackedWindows::tokens_of(int64_t index) const {
  const auto all = data_.tokens();
  const auto first = static_cast<uint64_t>(index * context_);
  return all.read(first, std::min(static_cast<uint64_t>(context_) + 1, all.size() - first));
}

std::optional<int64_t> PackedWindows::next_with_target(int64_t index) const {
  for (int64_t step = 0; step < windows_; ++step) {
    const int64_t at = (index + step) % windows_;
    if (has_target(at)) return at;
  }
  return std::nullopt;
}

int64_t PackedWindows::shuffled(uint64_t seed, int64_t epoch, int64_t position) const {
  const auto size = static_cast<uint64_t>(windows_);
  const auto bits = static_cast<unsigned>(std::bit_width(size - 1));
  const unsigned half_bits = std::max(1U, (bits + 1) / 2);
  const uint64_t key = mix(seed ^ mix(static_cast<uint64_t>(epoch)));
  // The network permutes a power of four, less than four times too many: walk on until inside.
  auto value = static_cast<uint64_t>(position);
  do value = feistel(value, half_bits, key);
  while (value >= size);
  return static_cast<int64_t>(value);
}

std::vector<int64_t> PackedWindows::batch_indices(uint64_t seed, int64_t step, int64_t batch_size) const {
  if (step < 0 || batch_size < 1) throw UsageError("a batch needs a step of at least 0 and at least 1 window");
  std::vector<int64_t> indices;
  indices.reserve(static_cast<size_t>(batch_size));
  for (int64_t number = step * batch_size; number < (step + 1) * batch_size; ++number) {
    indices.push_back(shuffled(seed, number / windows_, number % windows_));
  }
  return indices;
}

}  // namespace mformer
